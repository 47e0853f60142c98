#include "ssim_kernel.h"
#include "ssim_window.h"

// The gradient of SSIM. A window's SSIM depends on a map through the window's mean, its variance and the
// covariance with the other map, each a weighted sum over the window. So each pair leaves a field of each at
// its windows, and a pixel gathers them over the windows that hold it: no two threads write the same place.
namespace sam_toolkit {
namespace {

using namespace window;

// What a pair leaves at each window; a variance counts for both maps alike.
enum Field { mean_of_first, mean_of_second, variance, covariance, kFields };

// blockIdx.x is the pair, y the tile, z the image.
template <int kTaps, typename Number>
__global__ void __launch_bounds__(kColumns, 3)
    field_kernel(SsimMaps<Number> maps, SsimGradient<Number> gradient) {
    using Sum = typename Number::Sum;
    SAM_SHARED(Sum, columns, [kRows][kColumns]);
    const int64_t first = gradient.pairs[2 * blockIdx.x], second = gradient.pairs[2 * blockIdx.x + 1];
    const int64_t count = tiles<kTaps>(maps.rows(), maps.columns()), windows = maps.windows();
    for (int64_t image = blockIdx.z; image < maps.images; image += gridDim.z) {
        const Map<Number> a(maps, image * maps.per_image + first), b(maps, image * maps.per_image + second);
        const int64_t from = image * gradient.given_pairs + blockIdx.x;
        Sum* fields = gradient.fields + (image * gradient.count + blockIdx.x) * kFields * windows;
        for (int64_t i = blockIdx.y; i < count; i += gridDim.y) {
            const Tile tile = tile_at<kTaps>(i, maps.columns());
            const auto product = [&](int r, int column) {
                return a.value(tile.top + r, tile.left + column) * b.value(tile.top + r, tile.left + column);
            };
            for_windows<kTaps>(maps.taps, columns, product, [&](int r, Sum mean_product) {
                if (!tile.holds(r, maps)) return;
                const int place = tile.place(r, maps);
                const Sum shifted_a = a.shifted_mean(place), shifted_b = b.shifted_mean(place);
                const Sum mean_a = a.mean(place), mean_b = b.mean(place);
                const Sum both = maps.covariance_scale * (mean_product - shifted_a * shifted_b);
                const Sum luminance_limit = mean_a * mean_a + mean_b * mean_b + Constants<Sum>::luminance;
                const Sum contrast_limit = static_cast<Sum>(a.contrast(place)) + b.contrast(place);
                const Sum luminance = (2 * mean_a * mean_b + Constants<Sum>::luminance) / luminance_limit;
                const Sum contrast = (2 * both + Constants<Sum>::contrast) / contrast_limit;
                const Sum given = gradient.whole ? gradient.given[from * windows + place]
                                                 : gradient.given[from] / static_cast<Sum>(windows);
                // The gathered sum is in data ranges: covariances are, but for the values that go with them.
                const Sum by_contrast =
                    given * luminance / contrast_limit * maps.covariance_scale / maps.to_unit;
                const Sum by_luminance = given * contrast / luminance_limit;
                const Sum by_variance = -by_contrast * contrast;
                fields[mean_of_first * windows + place] =
                    2 * (by_luminance * (mean_b - mean_a * luminance) - by_variance * shifted_a -
                         by_contrast * shifted_b);
                fields[mean_of_second * windows + place] =
                    2 * (by_luminance * (mean_a - mean_b * luminance) - by_variance * shifted_b -
                         by_contrast * shifted_a);
                fields[variance * windows + place] = 2 * by_variance;
                fields[covariance * windows + place] = 2 * by_contrast;
            });
        }
    }
}

// blockIdx.x is the map among its image's, y the tile of its pixels, z the image.
template <int kTaps, typename Number>
__global__ void __launch_bounds__(kColumns, 3)
    gather_kernel(SsimMaps<Number> maps, SsimGradient<Number> gradient) {
    using Sum = typename Number::Sum;
    SAM_SHARED(Sum, columns, [kRows][kColumns]);
    const int64_t begin = gradient.begins[blockIdx.x], end = gradient.begins[blockIdx.x + 1];
    const int64_t count = tiles<kTaps>(maps.height, maps.width), windows = maps.windows();
    const int margin = maps.taps.count - 1;
    for (int64_t image = blockIdx.z; image < maps.images; image += gridDim.z) {
        const int64_t map = image * maps.per_image + blockIdx.x;
        const Map<Number> own(maps, map);
        for (int64_t i = blockIdx.y; i < count; i += gridDim.y) {
            const Tile tile = tile_at<kTaps>(i, maps.width);
            const int x = tile.left + threadIdx.x;
            // The field of a part at the window that lies (r, column) after the first one that holds the
            // tile's corner; the taps are symmetric, so that turned round they are the same.
            const auto field = [&](const SsimPart& part, int which, int r, int column) -> Sum {
                const int wy = tile.top + r - margin, wx = tile.left + column - margin;
                if (wy < 0 || wy >= maps.rows() || wx < 0 || wx >= maps.columns()) return 0;
                const int64_t pair = image * gradient.count + part.pair;
                return gradient.fields[(pair * kFields + which) * windows +
                                       static_cast<int64_t>(wy) * maps.columns() + wx];
            };
            const auto sum_of_parts = [&](auto which, int r, int column) {
                Sum sum = 0;
                for (int64_t j = begin; j < end; ++j)
                    sum += field(gradient.parts[j], which(gradient.parts[j]), r, column);
                return sum;
            };
            Sum totals[kRows];
            for_windows<kTaps, kRows>(
                maps.taps, columns,
                [&](int r, int column) {
                    const auto side = [](const SsimPart& part) { return static_cast<int>(part.side); };
                    return sum_of_parts(side, r, column);
                },
                [&](int r, Sum sum) { totals[r] = sum; });
            for_windows<kTaps, kRows>(
                maps.taps, columns,
                [&](int r, int column) {
                    return sum_of_parts([](const SsimPart&) { return static_cast<int>(variance); }, r,
                                        column);
                },
                [&](int r, Sum sum) { totals[r] += sum * own.value(tile.top + r, x); });
            for (int64_t j = begin; j < end; ++j) {
                const SsimPart part = gradient.parts[j];
                const Map<Number> other(maps, image * maps.per_image + part.other);
                for_windows<kTaps, kRows>(
                    maps.taps, columns, [&](int r, int column) { return field(part, covariance, r, column); },
                    [&](int r, Sum sum) { totals[r] += sum * other.value(tile.top + r, x); });
            }
            if (threadIdx.x >= kOutputs<kTaps> || x >= maps.width) continue;
#pragma unroll
            for (int r = 0; r < kRows; ++r) {
                const int y = tile.top + r;
                if (y >= maps.height) break;
                auto& out = gradient.out[map * maps.pixels() + static_cast<int64_t>(y) * maps.width + x];
                const Sum before = gradient.adding ? out : 0;
                out = static_cast<typename Number::Value>(before + totals[r] * maps.to_unit);
            }
        }
    }
}

}  // namespace

template <typename Number>
cudaError_t launch_ssim_backward(const SsimMaps<Number>& maps, const SsimGradient<Number>& gradient,
                                 cudaStream_t stream) {
    if (maps.images == 0 || maps.per_image == 0) return cudaSuccess;
    with_taps<Number>(maps.taps.count, [&](auto known) {
        constexpr int kTaps = known();
        const auto grid = [&](int64_t x, int rows, int columns) {
            return dim3(static_cast<unsigned>(x), blocks_of(tiles<kTaps>(rows, columns)),
                        blocks_of(maps.images));
        };
        if (gradient.count > 0)
            SAM_LAUNCH((field_kernel<kTaps, Number>), grid(gradient.count, maps.rows(), maps.columns()),
                       dim3(kColumns), stream, maps, gradient);
        SAM_LAUNCH((gather_kernel<kTaps, Number>), grid(maps.per_image, maps.height, maps.width),
                   dim3(kColumns), stream, maps, gradient);
        return 0;
    });
    return cudaGetLastError();
}

template cudaError_t launch_ssim_backward(const SsimMaps<Halves>&, const SsimGradient<Halves>&, cudaStream_t);
template cudaError_t launch_ssim_backward(const SsimMaps<Singles>&, const SsimGradient<Singles>&,
                                          cudaStream_t);
template cudaError_t launch_ssim_backward(const SsimMaps<Doubles>&, const SsimGradient<Doubles>&,
                                          cudaStream_t);

}  // namespace sam_toolkit
