#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace sam_toolkit {

// In what maps come, sums over their windows are computed, and then ratios of sums. A covariance is a small
// difference of large sums: those of float32 maps need double, what is made of it does not.
struct Halves {  // float16 and bfloat16, widened
    using Value = float;
    using Sum = float;
    using Ratio = float;
};
struct Singles {
    using Value = float;
    using Sum = double;
    using Ratio = float;
};
struct Doubles {
    using Value = double;
    using Sum = double;
    using Ratio = double;
};

// Weights along one side of the window: `few` for sides up to kMost, which kernels unroll, `all` for any.
template <typename Sum>
struct Taps {
    static constexpr int kMost = 11;
    int count;
    Sum few[kMost];
    const Sum* all;
};

// Maps, and at each window what they bring to every pair: the mean without `offset`, a number near the map's
// mean that keeps covariances from cancelling, and half of the contrast's denominator.
template <typename Number>
struct SsimMaps {
    using Value = typename Number::Value;
    using Sum = typename Number::Sum;
    using Ratio = typename Number::Ratio;

    const Value* values;  // [images * per_image, height, width]
    int64_t images, per_image;
    int height, width;
    Taps<Sum> taps;
    Sum to_unit;           // one over the data range
    Sum covariance_scale;  // in squared data ranges
    Sum* offsets;          // [images * per_image]
    Sum* means;            // [images * per_image, rows, columns]
    Ratio* contrasts;      // as means

    __host__ __device__ int rows() const { return height - taps.count + 1; }
    __host__ __device__ int columns() const { return width - taps.count + 1; }
    __host__ __device__ int64_t pixels() const { return static_cast<int64_t>(height) * width; }
    __host__ __device__ int64_t windows() const { return static_cast<int64_t>(rows()) * columns(); }
};

// Pairs with the same first map, from partners[begin] up to partners[end].
struct SsimGroup {
    int64_t first, begin, end;
};

struct SsimPartner {
    int64_t map, place;  // of the pair in the caller's list
};

struct SsimPairs {
    const SsimGroup* groups;
    const SsimPartner* partners;
    int64_t group_count, count;
};

// Either the mean of each pair, for which every tile leaves its sum in `partials`, or the whole map.
template <typename Number>
struct SsimOutput {
    using Ratio = typename Number::Ratio;

    Ratio* means;      // [images, pairs]
    double* partials;  // [images, pairs, tiles]
    Ratio* whole;      // [images, pairs, rows, columns]
};

// How many tiles the windows of a map fall into.
template <typename Number>
int64_t ssim_tiles(const SsimMaps<Number>& maps);

// Fills offsets, means and contrasts.
template <typename Number>
cudaError_t launch_ssim_statistics(const SsimMaps<Number>& maps, cudaStream_t stream);

// Compares maps whose statistics are there.
template <typename Number>
cudaError_t launch_ssim(const SsimMaps<Number>& maps, const SsimPairs& pairs, const SsimOutput<Number>& out,
                        cudaStream_t stream);

// The part that a map has in the pairs of a call: which pair, as which of the two, and with which other map.
struct SsimPart {
    int64_t pair, side, other;
};

// Some pairs of a call and what their similarities' gradients are.
template <typename Number>
struct SsimGradient {
    using Value = typename Number::Value;
    using Sum = typename Number::Sum;
    using Ratio = typename Number::Ratio;

    const Ratio* given;    // of the means [images, pairs], or of the maps [images, pairs, rows, columns]
    bool whole;            // which of the two
    int64_t given_pairs;   // of the call, in `given`, where these begin at the first
    const int64_t* pairs;  // [count, 2]
    int64_t count;
    const SsimPart* parts;  // map k has parts[begins[k]] up to parts[begins[k + 1]]
    const int64_t* begins;  // [per_image + 1]
    Sum* fields;            // [images, count, 4, rows, columns]: workspace
    Value* out;             // [images * per_image, height, width]
    bool adding;            // to what is in `out`
};

// Writes the gradient of maps whose statistics are there, or adds it.
template <typename Number>
cudaError_t launch_ssim_backward(const SsimMaps<Number>& maps, const SsimGradient<Number>& gradient,
                                 cudaStream_t stream);

}  // namespace sam_toolkit
