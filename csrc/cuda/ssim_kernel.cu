#include "ssim_kernel.h"
#include "ssim_window.h"

namespace sam_toolkit {
namespace {

using namespace window;

constexpr int kWarps = kColumns / 32;
// The sum over a block, in its first thread; a barrier must come before the next call.
__device__ double sum_of_block(double value, double (&warps)[kWarps]) {
    for (int lanes = 16; lanes > 0; lanes /= 2) value += __shfl_down_sync(0xffffffff, value, lanes);
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
    __syncthreads();
    double sum = 0;
    if (threadIdx.x == 0)
        for (const double part : warps) sum += part;
    return sum;
}

// The mean of some 4,096 pixels, evenly spread: whatever is near the map's mean does as an offset.
template <typename Number>
__global__ void __launch_bounds__(kColumns) offset_kernel(SsimMaps<Number> maps) {
    SAM_SHARED(double, warps, [kWarps]);
    const int64_t step = (maps.pixels() + 4095) / 4096, count = (maps.pixels() + step - 1) / step;
    const auto* values = maps.values + blockIdx.x * maps.pixels();
    double sum = 0;
    for (int64_t i = threadIdx.x; i < count; i += kColumns) sum += values[i * step];
    sum = sum_of_block(sum, warps);
    using Sum = typename Number::Sum;
    if (threadIdx.x == 0) maps.offsets[blockIdx.x] = static_cast<Sum>(sum / static_cast<double>(count));
}

// blockIdx.x is the map, blockIdx.y the tile.
template <int kTaps, typename Number>
__global__ void __launch_bounds__(kColumns) statistics_kernel(SsimMaps<Number> maps) {
    using Sum = typename Number::Sum;
    using Ratio = typename Number::Ratio;
    SAM_SHARED(Sum, columns, [kRows][kColumns]);
    const int64_t count = tiles<kTaps>(maps.rows(), maps.columns());
    const Map<Number> map(maps, blockIdx.x);
    Sum* means = maps.means + blockIdx.x * maps.windows();
    Ratio* contrasts = maps.contrasts + blockIdx.x * maps.windows();
    for (int64_t i = blockIdx.y; i < count; i += gridDim.y) {
        const Tile tile = tile_at<kTaps>(i, maps.columns());
        const auto value = [&](int r, int column) { return map.value(tile.top + r, tile.left + column); };
        for_windows<kTaps>(maps.taps, columns, value, [&](int r, Sum mean) {
            if (tile.holds(r, maps)) means[tile.place(r, maps)] = mean;
        });
        const auto square = [&](int r, int column) { return value(r, column) * value(r, column); };
        for_windows<kTaps>(maps.taps, columns, square, [&](int r, Sum mean_square) {
            if (!tile.holds(r, maps)) return;
            const int place = tile.place(r, maps);
            const Sum mean = means[place];
            const Sum variance = maps.covariance_scale * (mean_square - mean * mean);
            contrasts[place] =
                static_cast<Ratio>(variance < 0 ? 0 : variance) + Constants<Ratio>::contrast / 2;
        });
    }
}

// A ratio that is wrong by no more than its last two bits, as long as the denominator is below 2**126.
__device__ float quotient(float numerator, float denominator) {
    return __fdividef(numerator, denominator);
}
__device__ double quotient(double numerator, double denominator) {
    return numerator / denominator;
}

template <typename Number>
__device__ typename Number::Ratio similarity(const Map<Number>& a, const Map<Number>& b, int window,
                                             typename Number::Sum mean_product,
                                             typename Number::Sum covariance_scale) {
    using Ratio = typename Number::Ratio;
    const auto both = static_cast<Ratio>(covariance_scale *
                                         (mean_product - a.shifted_mean(window) * b.shifted_mean(window)));
    const auto mean_a = static_cast<Ratio>(a.mean(window)), mean_b = static_cast<Ratio>(b.mean(window));
    constexpr Ratio luminance = Constants<Ratio>::luminance, contrast = Constants<Ratio>::contrast;
    // Two ratios, since the product of both denominators can leave the type.
    return quotient(2 * mean_a * mean_b + luminance, mean_a * mean_a + mean_b * mean_b + luminance) *
           quotient(2 * both + contrast, a.contrast(window) + b.contrast(window));
}

// blockIdx.x is the group of pairs, whose first map's values stay in registers; y the tile; z the image.
template <int kTaps, typename Number>
__global__ void __launch_bounds__(kColumns, 3)
    compare_kernel(SsimMaps<Number> maps, SsimPairs pairs, SsimOutput<Number> out) {
    using Sum = typename Number::Sum;
    using Ratio = typename Number::Ratio;
    SAM_SHARED(Sum, columns, [kRows][kColumns]);
    SAM_SHARED(double, warps, [kWarps]);
    const SsimGroup group = pairs.groups[blockIdx.x];
    const int64_t count = tiles<kTaps>(maps.rows(), maps.columns());
    for (int64_t image = blockIdx.z; image < maps.images; image += gridDim.z) {
        const Map<Number> a(maps, image * maps.per_image + group.first);
        for (int64_t i = blockIdx.y; i < count; i += gridDim.y) {
            const Tile tile = tile_at<kTaps>(i, maps.columns());
            constexpr int kHeld = kTaps > 0 ? kRows + kTaps - 1 : 1;
            Sum held[kHeld];
#pragma unroll
            for (int r = 0; r < kHeld; ++r) held[r] = a.value(tile.top + r, tile.left + threadIdx.x);
            for (int64_t j = group.begin; j < group.end; ++j) {
                const SsimPartner partner = pairs.partners[j];
                const Map<Number> b(maps, image * maps.per_image + partner.map);
                const int64_t place = image * pairs.count + partner.place;
                double sum = 0;
                for_windows<kTaps>(
                    maps.taps, columns,
                    [&](int r, int column) {
                        const Sum other = b.value(tile.top + r, tile.left + column);
                        if constexpr (kTaps > 0)
                            return held[r] * other;
                        else
                            return a.value(tile.top + r, tile.left + column) * other;
                    },
                    [&](int r, Sum mean_product) {
                        const int window = tile.place(r, maps);
                        const Ratio value = similarity(a, b, window, mean_product, maps.covariance_scale);
                        if (!tile.holds(r, maps)) return;
                        if (out.whole != nullptr) out.whole[place * maps.windows() + window] = value;
                        sum += value;
                    });
                if (out.partials == nullptr) continue;
                sum = sum_of_block(sum, warps);
                if (threadIdx.x == 0) out.partials[place * count + i] = sum;
            }
        }
    }
}

// A warp adds up the tiles of a pair, in an order of its own, always the same.
template <typename Ratio>
__global__ void __launch_bounds__(kColumns, 4)
    mean_kernel(const double* partials, int64_t pairs, int64_t tiles, int64_t windows, Ratio* means) {
    const int64_t pair = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
    if (pair >= pairs) return;
    double sum = 0;
    for (int64_t i = threadIdx.x % 32; i < tiles; i += 32) sum += partials[pair * tiles + i];
    for (int lanes = 16; lanes > 0; lanes /= 2) sum += __shfl_down_sync(0xffffffff, sum, lanes);
    if (threadIdx.x % 32 == 0) means[pair] = static_cast<Ratio>(sum / static_cast<double>(windows));
}

}  // namespace

template <typename Number>
int64_t ssim_tiles(const SsimMaps<Number>& maps) {
    return with_taps<Number>(maps.taps.count,
                             [&](auto known) { return tiles<known()>(maps.rows(), maps.columns()); });
}

template <typename Number>
cudaError_t launch_ssim_statistics(const SsimMaps<Number>& maps, cudaStream_t stream) {
    const int64_t count = maps.images * maps.per_image;
    if (count == 0) return cudaSuccess;
    const auto each = static_cast<unsigned>(count);
    SAM_LAUNCH(offset_kernel<Number>, dim3(each), dim3(kColumns), stream, maps);
    with_taps<Number>(maps.taps.count, [&](auto known) {
        const dim3 grid(each, blocks_of(tiles<known()>(maps.rows(), maps.columns())));
        SAM_LAUNCH((statistics_kernel<known(), Number>), grid, dim3(kColumns), stream, maps);
        return 0;
    });
    return cudaGetLastError();
}

template <typename Number>
cudaError_t launch_ssim(const SsimMaps<Number>& maps, const SsimPairs& pairs, const SsimOutput<Number>& out,
                        cudaStream_t stream) {
    if (maps.images == 0 || pairs.count == 0) return cudaSuccess;
    const int64_t count = ssim_tiles(maps);
    const dim3 grid(static_cast<unsigned>(pairs.group_count), blocks_of(count), blocks_of(maps.images));
    with_taps<Number>(maps.taps.count, [&](auto known) {
        SAM_LAUNCH((compare_kernel<known(), Number>), grid, dim3(kColumns), stream, maps, pairs, out);
        return 0;
    });
    if (out.means != nullptr) {
        const int64_t all = maps.images * pairs.count;
        const dim3 warps(static_cast<unsigned>((all + kWarps - 1) / kWarps));
        SAM_LAUNCH(mean_kernel, warps, dim3(kColumns), stream, out.partials, all, count, maps.windows(),
                   out.means);
    }
    return cudaGetLastError();
}

#define SAM_INSTANTIATE(Number)                                                                            \
    template int64_t ssim_tiles(const SsimMaps<Number>&);                                                  \
    template cudaError_t launch_ssim_statistics(const SsimMaps<Number>&, cudaStream_t);                    \
    template cudaError_t launch_ssim(const SsimMaps<Number>&, const SsimPairs&, const SsimOutput<Number>&, \
                                     cudaStream_t);
SAM_INSTANTIATE(Halves)
SAM_INSTANTIATE(Singles)
SAM_INSTANTIATE(Doubles)
#undef SAM_INSTANTIATE

}  // namespace sam_toolkit
