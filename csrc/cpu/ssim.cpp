#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <numeric>
#include <type_traits>
#include <utility>
#include <vector>

#include "../checks.h"
#include "../tensors.h"
#include "ssim_problem.h"

// SSIM of many pairs among few maps, one block of windows after another: the block of each map is laid out
// and its windows' statistics computed once, then the pairs are compared, in tiles of few maps that stay in
// the cache.
namespace sam_toolkit {
namespace {

using namespace ssim;
using torch::stable::Tensor;

constexpr int64_t kTileMaps = 8;

// Past this, in data ranges, the formula's denominators leave float.
constexpr double kLargestForFloat = 1e8;

struct Pair {
    int64_t a, b, place;
};

// A block of each map of an image, and a thread's own memory.
template <typename Real>
class Workspace {
  public:
    Workspace(const Problem& problem, int64_t maps)
        : scratch(problem),
          layout_(problem.layout),
          values_(maps * layout_.values + layout_.margin),
          means_(maps * layout_.windows + layout_.margin),
          luminances_(maps * layout_.windows + layout_.margin),
          contrasts_(maps * layout_.windows + layout_.margin) {}

    Planes<Real> operator[](int64_t map) const {
        const int64_t window = map * layout_.windows;
        return {&values_[map * layout_.values], &means_[window], &luminances_[window], &contrasts_[window]};
    }

    Scratch scratch;

  private:
    const Layout& layout_;
    Aligned<double> values_, means_;
    Aligned<Real> luminances_, contrasts_;
};

// The pairs in tiles: those of few maps with few, so that a band of all of them stays in the cache.
std::vector<std::vector<Pair>> tiles(const int64_t* pairs, int64_t count) {
    std::vector<Pair> sorted(count);
    for (int64_t p = 0; p < count; ++p) sorted[p] = {pairs[2 * p], pairs[2 * p + 1], p};
    const auto tile = [](const Pair& pair) { return std::pair(pair.a / kTileMaps, pair.b / kTileMaps); };
    std::stable_sort(sorted.begin(), sorted.end(),
                     [&](const Pair& x, const Pair& y) { return tile(x) < tile(y); });
    std::vector<std::vector<Pair>> result;
    for (const Pair& pair : sorted) {
        const bool full = result.empty() || tile(result.back().front()) != tile(pair) ||
                          result.back().size() == static_cast<size_t>(kTileMaps * kTileMaps);
        if (full) result.emplace_back();
        result.back().push_back(pair);
    }
    return result;
}

struct Call {
    const Tensor& maps;
    const Tensor& pairs;
    std::vector<double> taps;
    double data_range;
    bool sample_covariance;
};

// What is computed for each pair: its mean, or the value at each of its windows; the other is null.
template <typename Value>
struct Output {
    Value* means;  // [images, pairs]
    Value* whole;  // [images, pairs, rows, columns]
};

using Tiles = std::vector<std::vector<Pair>>;

// Compares the pairs of an image at one block; part(pair) is where its sum goes, whole(pair) where its
// values.
template <typename Real, typename Value>
void compare_block(const Problem& problem, const Value* maps, const std::vector<Survey>& surveys,
                   const Block& block, const Tiles& tiles, const auto& part, const auto& whole,
                   Workspace<Real>& workspace) {
    const auto& kernels = level<Real, Value>();
    const int64_t pixels = problem.layout.pixels;
    std::vector<bool> ready(surveys.size());
    workspace.scratch.clear();
    const auto planes = [&](int64_t map) {
        if (!ready[map])
            kernels.prepare(problem, maps + map * pixels, surveys[map], block, workspace.scratch,
                            workspace[map]);
        ready[map] = true;
        return workspace[map];
    };
    for (const std::vector<Pair>& tile : tiles)
        for (const Pair& pair : tile)
            part(pair.place) = kernels.compare(problem, planes(pair.a), planes(pair.b), block,
                                               workspace.scratch, whole(pair.place));
}

template <typename Real, typename Value>
void compare_all(const Call& call, const Value* maps, const std::vector<Survey>& surveys,
                 const Output<Value>& out) {
    const auto size = static_cast<int64_t>(call.taps.size());
    const auto same = [&](double tap) { return tap == call.taps[0]; };
    const bool uniform = std::all_of(call.taps.begin(), call.taps.end(), same);
    const std::vector<double> weights = uniform ? std::vector<double>(size, 1.0) : call.taps;
    const int64_t height = call.maps.size(2), width = call.maps.size(3);
    const Layout layout = Layout::of(height, width, size);
    const Problem problem =
        Problem::of(layout, {size, uniform, weights.data()}, call.data_range, call.sample_covariance);
    const int64_t images = call.maps.size(0), per_image = call.maps.size(1), pairs = call.pairs.size(0);
    const Tiles tiled = tiles(read<int64_t>(call.pairs), pairs);
    const auto parts = blocks(layout);
    const auto each = static_cast<int64_t>(parts.size()), windows = layout.rows * layout.columns;
    std::vector<double> sums(images * pairs * each);
    torch::stable::parallel_for(0, images * each, 1, [&](int64_t begin, int64_t end) {
        Workspace<Real> workspace(problem, per_image);
        for (int64_t i = begin; i < end; ++i) {
            const int64_t image = i / each, first = image * per_image, pair = image * pairs;
            const std::vector<Survey> own(surveys.begin() + first, surveys.begin() + first + per_image);
            compare_block(
                problem, maps + first * height * width, own, parts[i % each], tiled,
                [&](int64_t place) -> double& { return sums[(pair + place) * each + i % each]; },
                [&](int64_t place) { return out.whole ? out.whole + (pair + place) * windows : nullptr; },
                workspace);
        }
    });
    for (int64_t i = 0; out.means && i < images * pairs; ++i) {
        const auto first = sums.begin() + i * each;
        out.means[i] =
            static_cast<Value>(std::accumulate(first, first + each, 0.0) / static_cast<double>(windows));
    }
}

template <typename Value>
std::vector<Survey> survey_all(const Value* maps, int64_t count, int64_t pixels) {
    std::vector<Survey> surveys(count);
    torch::stable::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k)
            surveys[k] = level<double, Value>().survey(maps + k * pixels, pixels);
    });
    return surveys;
}

void compare_all(const Call& call, const Tensor* means, const Tensor* whole) {
    const Tensor from = torch::stable::contiguous(call.maps);
    with_value_type(from, [&]<typename Value>() {
        const auto* maps = read<Value>(from);
        const auto surveys = survey_all(maps, from.size(0) * from.size(1), from.size(2) * from.size(3));
        const Output<Value> out{means ? write<Value>(*means) : nullptr,
                                whole ? write<Value>(*whole) : nullptr};
        if constexpr (std::is_same_v<Value, float>) {
            const auto fits = [&](const Survey& one) {
                return one.largest <= kLargestForFloat * call.data_range;
            };
            if (std::all_of(surveys.begin(), surveys.end(), fits))
                return compare_all<float>(call, maps, surveys, out);
        }
        compare_all<double>(call, maps, surveys, out);
    });
}

Tensor ssim_means(const Tensor& maps, const Tensor& pairs, std::vector<double> taps, double data_range,
                  bool sample_covariance) {
    checks::ssim("ssim", maps, pairs, taps, data_range);
    Tensor out = torch::stable::new_empty(maps, {maps.size(0), pairs.size(0)});
    if (out.numel())
        compare_all({maps, pairs, std::move(taps), data_range, sample_covariance}, &out, nullptr);
    return out;
}

Tensor ssim_map(const Tensor& maps, const Tensor& pairs, std::vector<double> taps, double data_range,
                bool sample_covariance) {
    checks::ssim("ssim_map", maps, pairs, taps, data_range);
    const auto window = static_cast<int64_t>(taps.size());
    const std::vector<int64_t> shape{maps.size(0), pairs.size(0), maps.size(2) - window + 1,
                                     maps.size(3) - window + 1};
    Tensor out = torch::stable::new_empty(maps, shape);
    if (out.numel())
        compare_all({maps, pairs, std::move(taps), data_range, sample_covariance}, nullptr, &out);
    return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(sam_toolkit, CPU, library) {
    library.impl("ssim", TORCH_BOX(&ssim_means));
    library.impl("ssim_map", TORCH_BOX(&ssim_map));
}

}  // namespace sam_toolkit
