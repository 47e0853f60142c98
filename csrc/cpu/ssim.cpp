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

// SSIM of many pairs among few maps: a map is laid out and its windows' statistics computed once, then pairs
// are compared band by band, in tiles of few maps that stay in the cache.
namespace sam_toolkit {
namespace {

using namespace ssim;
using torch::stable::Tensor;

// A batch whose planes would take more memory than this is done in blocks.
constexpr int64_t kWorkspaceBytes = int64_t{512} << 20;
constexpr int64_t kTileMaps = 8;

// Past this, in data ranges, the formula's denominators leave float.
constexpr double kLargestForFloat = 1e8;

struct Pair {
    int64_t a, b, place;
};

// The planes of the maps of a block of images.
template <typename Real>
class Prepared {
  public:
    Prepared(const Layout& layout, int64_t maps)
        : map_(layout.height * layout.stride),
          windows_(layout.rows * layout.stride),
          values_(maps * map_ + layout.margin),
          means_(maps * windows_ + layout.margin),
          luminances_(maps * windows_ + layout.margin),
          contrasts_(maps * windows_ + layout.margin) {}

    Planes<Real> operator[](int64_t map) const {
        return {&values_[map * map_], &means_[map * windows_], &luminances_[map * windows_],
                &contrasts_[map * windows_]};
    }

    static int64_t bytes(const Layout& layout) {
        const int64_t a_window = sizeof(double) + 2 * sizeof(Real);
        return layout.stride *
               (layout.height * static_cast<int64_t>(sizeof(double)) + layout.rows * a_window);
    }

  private:
    int64_t map_, windows_;
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

    Output from(int64_t pair, int64_t windows) const {
        return {means ? means + pair : nullptr, whole ? whole + pair * windows : nullptr};
    }
};

using Tiles = std::vector<std::vector<Pair>>;

// Compares the maps of a block of images, whose `surveys` are known, and writes from the block's first pair
// on.
template <typename Real, typename Value>
void compare_block(const Problem& problem, const Value* maps, const std::vector<Survey>& surveys,
                   const Call& call, const Tiles& tiles, const Output<Value>& out) {
    const Layout& layout = problem.layout;
    const auto& kernels = level<Real, Value>();
    const auto count = static_cast<int64_t>(surveys.size());
    const int64_t per_image = call.maps.size(1), pairs = call.pairs.size(0), images = count / per_image;
    const Prepared<Real> prepared(layout, count);
    torch::stable::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
        Scratch scratch(problem);
        for (int64_t k = begin; k < end; ++k) {
            Planes<Real> planes = prepared[k];
            kernels.prepare(problem, maps + k * layout.height * layout.width, surveys[k], call.data_range,
                            scratch, planes);
        }
    });
    const auto parts = blocks(layout);
    const auto each = static_cast<int64_t>(parts.size()), tiled = static_cast<int64_t>(tiles.size());
    const int64_t tasks =
        each * tiled;  // one block for all maps, then the next: its rows stay in the outer cache
    std::vector<double> sums(images * pairs * each);
    torch::stable::parallel_for(0, images * tasks, 1, [&](int64_t begin, int64_t end) {
        Scratch scratch(problem);
        for (int64_t i = begin; i < end; ++i) {
            const int64_t image = i / tasks, part = i % tasks / tiled;
            for (const Pair& pair : tiles[i % tiled]) {
                const int64_t place = image * pairs + pair.place;
                sums[place * each + part] =
                    kernels.compare(problem, prepared[image * per_image + pair.a],
                                    prepared[image * per_image + pair.b], parts[part], scratch,
                                    out.whole ? out.whole + place * layout.rows * layout.columns : nullptr);
            }
        }
    });
    const auto windows = static_cast<double>(layout.rows * layout.columns);
    for (int64_t i = 0; out.means && i < images * pairs; ++i) {
        const auto first = sums.begin() + i * each;
        out.means[i] = static_cast<Value>(std::accumulate(first, first + each, 0.0) / windows);
    }
}

template <typename Real, typename Value>
void compare_all(const Call& call, const Value* maps, const std::vector<Survey>& surveys,
                 const Output<Value>& out) {
    const auto size = static_cast<int64_t>(call.taps.size());
    const auto same = [&](double tap) { return tap == call.taps[0]; };
    const bool uniform = std::all_of(call.taps.begin(), call.taps.end(), same);
    const std::vector<double> weights = uniform ? std::vector<double>(size, 1.0) : call.taps;
    const Layout layout = Layout::of(call.maps.size(2), call.maps.size(3), size);
    const Problem problem = Problem::of(layout, {size, uniform, weights.data()}, call.sample_covariance);
    const auto images = call.maps.size(0), per_image = call.maps.size(1), pairs = call.pairs.size(0);
    const int64_t step = std::max<int64_t>(1, kWorkspaceBytes / (Prepared<Real>::bytes(layout) * per_image));
    const Tiles tiled = tiles(read<int64_t>(call.pairs), pairs);
    for (int64_t first = 0; first < images; first += step) {
        const int64_t last = std::min(first + step, images);
        const std::vector<Survey> own(surveys.begin() + first * per_image,
                                      surveys.begin() + last * per_image);
        compare_block<Real>(problem, maps + first * per_image * layout.height * layout.width, own, call,
                            tiled, out.from(first * pairs, layout.rows * layout.columns));
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
