#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "../checks.h"
#include "../tensors.h"
#include "ranking.h"

namespace sam_toolkit {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// Calls `each(sorter, map, number)` for every map of a batch [B, n].
template <typename Value>
void for_each_map(const Tensor& maps, const auto& each) {
    const int64_t pixels = maps.size(1);
    const auto* values = read<Value>(maps);
    torch::stable::parallel_for(0, maps.size(0), 1, [&](int64_t begin, int64_t end) {
        ranking::Sorter<Value> sorter(pixels);
        for (int64_t map = begin; map < end; ++map) each(sorter, values + map * pixels, map);
    });
}

Tensor descending_order(const Tensor& maps) {
    checks::ranked("descending_order", maps, 2);
    Tensor out = torch::stable::new_empty(maps, {maps.size(0), maps.size(1)}, ScalarType::Int);
    const Tensor from = torch::stable::contiguous(maps);
    auto* to = write<int32_t>(out);
    with_value_type(from, [&]<typename Value>() {
        for_each_map<Value>(from, [&](auto& sorter, const Value* values, int64_t map) {
            sorter.order(values, to + map * from.size(1));
        });
    });
    return out;
}

// The smallest value has rank 1; equal ones have the mean of their ranks.
template <typename Value>
void rank(const Value* values, const int32_t* order, int64_t pixels, double* out) {
    if (ranking::has_nan(values, pixels))
        return void(std::fill(out, out + pixels, std::numeric_limits<double>::quiet_NaN()));
    ranking::for_each_tie(values, order, pixels, [&](int64_t first, int64_t last) {
        const double mean = static_cast<double>(2 * pixels - first - last + 1) / 2;
        for (int64_t place = first; place < last; ++place) out[order[place]] = mean;
    });
}

Tensor average_ranks(const Tensor& maps) {
    checks::ranked("average_ranks", maps, 2);
    const int64_t pixels = maps.size(1);
    Tensor out = torch::stable::new_empty(maps, {maps.size(0), pixels}, ScalarType::Double);
    const Tensor from = torch::stable::contiguous(maps);
    auto* to = write<double>(out);
    with_value_type(from, [&]<typename Value>() {
        for_each_map<Value>(from, [&](auto& sorter, const Value* values, int64_t map) {
            std::vector<int32_t> order(pixels);
            sorter.order(values, order.data());
            rank(values, order.data(), pixels, to + map * pixels);
        });
    });
    return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(sam_toolkit, CPU, library) {
    library.impl("descending_order", TORCH_BOX(&descending_order));
    library.impl("average_ranks", TORCH_BOX(&average_ranks));
}

}  // namespace sam_toolkit
