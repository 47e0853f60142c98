#pragma once

#include <cstdint>
#include <vector>

#include "../ssim_math.h"

// The inner loops of SSIM: each works on one row, in double.
namespace sam_toolkit::rows {

// What a map contributes to a row of windows: its own mean, the shifted means and the variances.
struct Moments {
    double offset;
    const double* shifted_means;
    const double* variances;

    WindowMoments at(int64_t x) const { return {shifted_means[x] + offset, shifted_means[x], variances[x]}; }
};

// out[x] = (a[x] - a_offset) * (b[x] - b_offset)
void multiply(const float* a, double a_offset, const float* b, double b_offset, int64_t width, double* out);
void multiply(const double* a, double a_offset, const double* b, double b_offset, int64_t width, double* out);

// out[x] = sum over k of taps[k] * inputs[k][x]
void weighted_sum(const double* const* inputs, const std::vector<double>& taps, int64_t width, double* out);

// sums[x] += SSIM of the windows at x, from the moments of both and the mean of their products.
void add_similarity(const Moments& a, const Moments& b, const double* products, const SsimFormula& formula,
                    int64_t width, double* sums);

}  // namespace sam_toolkit::rows
