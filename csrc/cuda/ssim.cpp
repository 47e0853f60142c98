#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/macros.h>
#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "../checks.h"
#include "../tensors.h"
#include "ssim_kernel.h"
#include "stream.h"

namespace sam_toolkit {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// Gradients leave some fields for each pair; pairs that would take more than this come one lot after the
// other.
constexpr int64_t kWorkspaceBytes = int64_t{1} << 30;

// As many pairs share the values of their first map in a block's registers.
constexpr size_t kPartners = 8;

Tensor room(const Tensor& beside, std::vector<int64_t> shape, ScalarType type) {
    return torch::stable::empty(shape, type, std::nullopt, beside.device());
}

// Rows of int64 as a tensor beside another.
template <typename Row>
Tensor upload(const std::vector<Row>& rows, const Tensor& beside) {
    const auto each = static_cast<int64_t>(sizeof(Row) / sizeof(int64_t));
    Tensor here = torch::stable::empty({static_cast<int64_t>(rows.size()), each}, ScalarType::Long);
    std::copy(rows.begin(), rows.end(), write<Row>(here));
    return torch::stable::to(here, beside.device());
}

// What every operator of SSIM is called with.
struct Call {
    const Tensor& maps;
    const Tensor& pairs;
    const std::vector<double>& taps;
    double data_range;
    bool sample_covariance;

    int64_t images() const { return maps.size(0); }
    int64_t per_image() const { return maps.size(1); }
    int64_t window() const { return static_cast<int64_t>(taps.size()); }
    int64_t rows() const { return maps.size(2) - window() + 1; }
    int64_t columns() const { return maps.size(3) - window() + 1; }
};

template <typename Real>
constexpr ScalarType type_of = sizeof(Real) == 8 ? ScalarType::Double : ScalarType::Float;

// Maps on the accelerator with their statistics, and the memory that holds them.
template <typename Number>
class Prepared {
  public:
    using Sum = typename Number::Sum;
    using Ratio = typename Number::Ratio;

    Prepared(const Call& call, cudaStream_t on) : stream(on) {
        const int64_t count = call.images() * call.per_image();
        values_ = torch::stable::contiguous(
            torch::stable::to(call.maps, std::optional(type_of<typename Number::Value>)));
        offsets_ = room(values_, {count}, type_of<Sum>);
        means_ = room(values_, {count, call.rows(), call.columns()}, type_of<Sum>);
        contrasts_ = room(values_, {count, call.rows(), call.columns()}, type_of<Ratio>);
        const double pixels = static_cast<double>(call.window()) * static_cast<double>(call.window());
        const double scale = call.sample_covariance ? pixels / (pixels - 1) : 1.0;
        maps = {.values = read<typename Number::Value>(values_),
                .images = call.images(),
                .per_image = call.per_image(),
                .height = static_cast<int>(call.maps.size(2)),
                .width = static_cast<int>(call.maps.size(3)),
                .taps = weights(call),
                .to_unit = static_cast<Sum>(1 / call.data_range),
                .covariance_scale = static_cast<Sum>(scale / (call.data_range * call.data_range)),
                .offsets = write<Sum>(offsets_),
                .means = write<Sum>(means_),
                .contrasts = write<Ratio>(contrasts_)};
        STD_CUDA_CHECK(launch_ssim_statistics(maps, stream));
    }

    SsimMaps<Number> maps;
    cudaStream_t stream;

  private:
    Taps<Sum> weights(const Call& call) {
        Taps<Sum> taps{.count = static_cast<int>(call.window())};
        Tensor here = torch::stable::empty({call.window()}, type_of<Sum>);
        std::copy(call.taps.begin(), call.taps.end(), write<Sum>(here));
        std::copy_n(read<Sum>(here), std::min(taps.count, Taps<Sum>::kMost), taps.few);
        taps_ = torch::stable::to(here, call.maps.device());
        taps.all = read<Sum>(taps_);
        return taps;
    }

    Tensor values_, offsets_, means_, contrasts_, taps_;
};

// Pairs sorted by their first map, then by their second, in groups that share the first.
struct Grouped {
    std::vector<SsimGroup> groups;
    std::vector<SsimPartner> partners;

    explicit Grouped(const Tensor& pairs) {
        const auto* rows = read<int64_t>(pairs);
        std::vector<int64_t> order(pairs.size(0));
        std::iota(order.begin(), order.end(), 0);
        const auto maps = [&](int64_t p) { return std::pair(rows[2 * p], rows[2 * p + 1]); };
        std::stable_sort(order.begin(), order.end(), [&](int64_t p, int64_t q) { return maps(p) < maps(q); });
        for (const int64_t p : order) {
            const auto place = static_cast<int64_t>(partners.size());
            const bool joins = !groups.empty() && groups.back().first == rows[2 * p] &&
                               place - groups.back().begin < static_cast<int64_t>(kPartners);
            if (!joins) groups.push_back({rows[2 * p], place, place});
            partners.push_back({rows[2 * p + 1], p});
            ++groups.back().end;
        }
    }
};

void require_int_indices(const char* op, const Tensor& maps) {
    checks::require(maps.size(2) * maps.size(3) < int64_t{1} << 31, op,
                    "a map must have fewer than 2**31 pixels", checks::shape(maps));
}

template <typename Number>
void compare(const Call& call, Tensor& out, bool whole) {
    const Prepared<Number> prepared(call, stream_of(call.maps));
    const Grouped grouped(call.pairs);
    const Tensor groups = upload(grouped.groups, call.maps), partners = upload(grouped.partners, call.maps);
    const SsimPairs pairs{read<SsimGroup>(groups), read<SsimPartner>(partners),
                          static_cast<int64_t>(grouped.groups.size()), call.pairs.size(0)};
    auto* values = write<typename Number::Ratio>(out);
    if (whole) {
        STD_CUDA_CHECK(launch_ssim(prepared.maps, pairs, {nullptr, nullptr, values}, prepared.stream));
        return;
    }
    const int64_t tiles = ssim_tiles(prepared.maps);
    Tensor partials = room(out, {call.images(), call.pairs.size(0), tiles}, ScalarType::Double);
    STD_CUDA_CHECK(
        launch_ssim(prepared.maps, pairs, {values, write<double>(partials), nullptr}, prepared.stream));
}

// Calls `body.template operator()<Number>()` for the type of maps.
template <typename Body>
void with_numbers(const Tensor& maps, const Body& body) {
    switch (maps.scalar_type()) {
        case ScalarType::Double:
            return body.template operator()<Doubles>();
        case ScalarType::Float:
            return body.template operator()<Singles>();
        default:
            return body.template operator()<Halves>();
    }
}

Tensor compared(const Call& call, bool whole) {
    std::vector<int64_t> shape{call.images(), call.pairs.size(0)};
    if (whole) shape.insert(shape.end(), {call.rows(), call.columns()});
    const bool wide = call.maps.scalar_type() == ScalarType::Double;
    const torch::stable::accelerator::DeviceGuard guard(call.maps.get_device_index());
    Tensor out = room(call.maps, shape, wide ? ScalarType::Double : ScalarType::Float);
    if (out.numel() != 0)
        with_numbers(call.maps, [&]<typename Number>() { compare<Number>(call, out, whole); });
    return out;
}

Tensor ssim_means(const Tensor& maps, const Tensor& pairs, std::vector<double> taps, double data_range,
                  bool sample_covariance) {
    checks::ssim("ssim", maps, pairs, taps, data_range);
    require_int_indices("ssim", maps);
    return compared({maps, pairs, taps, data_range, sample_covariance}, false);
}

Tensor ssim_map(const Tensor& maps, const Tensor& pairs, std::vector<double> taps, double data_range,
                bool sample_covariance) {
    checks::ssim("ssim_map", maps, pairs, taps, data_range);
    require_int_indices("ssim_map", maps);
    return compared({maps, pairs, taps, data_range, sample_covariance}, true);
}

// The parts of every map in pairs, one map's after another's, and where each map's begin.
struct Parts {
    std::vector<SsimPart> parts;
    std::vector<int64_t> begins{0};

    Parts(const int64_t* pairs, int64_t count, int64_t maps) {
        std::vector<std::vector<SsimPart>> each(maps);
        for (int64_t p = 0; p < count; ++p)
            for (const int64_t side : {0, 1})
                each[pairs[2 * p + side]].push_back({p, side, pairs[2 * p + 1 - side]});
        for (const auto& own : each) {
            parts.insert(parts.end(), own.begin(), own.end());
            begins.push_back(static_cast<int64_t>(parts.size()));
        }
    }
};

template <typename Number>
Tensor pull_back(const Call& call, const Tensor& given) {
    using Sum = typename Number::Sum;
    using Ratio = typename Number::Ratio;
    const Prepared<Number> prepared(call, stream_of(call.maps));
    const Tensor pairs = torch::stable::to(call.pairs, call.maps.device());
    Tensor out = room(call.maps, {call.images(), call.per_image(), call.maps.size(2), call.maps.size(3)},
                      type_of<typename Number::Value>);
    const int64_t windows = prepared.maps.windows(), all = call.pairs.size(0);
    const int64_t a_pair = call.images() * 4 * windows * static_cast<int64_t>(sizeof(Sum));
    const int64_t step = std::clamp<int64_t>(kWorkspaceBytes / a_pair, 1, std::max<int64_t>(all, 1));
    Tensor fields = room(out, {call.images(), step, 4, windows}, type_of<Sum>);
    const bool whole = given.dim() == 4;
    for (int64_t first = 0; first == 0 || first < all; first += step) {
        const int64_t count = std::min(step, all - first);
        const Parts own(read<int64_t>(call.pairs) + 2 * first, count, call.per_image());
        const Tensor parts = upload(own.parts, out), begins = upload(own.begins, out);
        const SsimGradient<Number> gradient{.given = read<Ratio>(given) + first * (whole ? windows : 1),
                                            .whole = whole,
                                            .given_pairs = all,
                                            .pairs = read<int64_t>(pairs) + 2 * first,
                                            .count = count,
                                            .parts = read<SsimPart>(parts),
                                            .begins = read<int64_t>(begins),
                                            .fields = write<Sum>(fields),
                                            .out = write<typename Number::Value>(out),
                                            .adding = first > 0};
        STD_CUDA_CHECK(launch_ssim_backward(prepared.maps, gradient, prepared.stream));
    }
    return out;
}

Tensor ssim_backward(const Tensor& gradient, const Tensor& maps, const Tensor& pairs,
                     std::vector<double> taps, double data_range, bool sample_covariance) {
    checks::ssim_backward(gradient, maps, pairs, taps, data_range);
    require_int_indices("ssim_backward", maps);
    const torch::stable::accelerator::DeviceGuard guard(maps.get_device_index());
    const Tensor given = torch::stable::contiguous(gradient);
    Tensor out = torch::stable::new_empty(maps, {maps.size(0), maps.size(1), maps.size(2), maps.size(3)});
    if (out.numel() == 0) return out;
    with_numbers(maps, [&]<typename Number>() {
        const Call call{maps, pairs, taps, data_range, sample_covariance};
        out = torch::stable::to(pull_back<Number>(call, given), std::optional(maps.scalar_type()));
    });
    return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(sam_toolkit, CUDA, library) {
    library.impl("ssim", TORCH_BOX(&ssim_means));
    library.impl("ssim_map", TORCH_BOX(&ssim_map));
    library.impl("ssim_backward", TORCH_BOX(&ssim_backward));
}

}  // namespace sam_toolkit
