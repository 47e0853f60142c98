#pragma once

#include <cstdint>
#include <vector>

// Inner loops on one row, in double.
namespace sam_toolkit::rows {

// out[x] = a[x] * b[x]
void multiply(const double* a, const double* b, int64_t width, double* out);

// out[x] = sum over k of taps[k] * inputs[k][x]
void weighted_sum(const double* const* inputs, const std::vector<double>& taps, int64_t width, double* out);

}  // namespace sam_toolkit::rows
