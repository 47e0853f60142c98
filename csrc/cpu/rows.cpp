#include "rows.h"

#include <algorithm>

#include "clones.h"

namespace sam_toolkit::rows {
namespace {

// Inlined into each clone of its caller: with the count known, the sum stays in registers.
template <int count>
[[gnu::always_inline]] inline void weighted_sum_of(const double* const* inputs, const double* taps,
                                                   int64_t width, double* __restrict out) {
    for (int64_t x = 0; x < width; ++x) {
        double sum = 0;
#pragma GCC unroll 16
        for (int k = 0; k < count; ++k) sum += taps[k] * inputs[k][x];
        out[x] = sum;
    }
}

// Nothing overlaps: else a check when it runs would choose between loops that round differently.
[[gnu::always_inline]] inline void add(const double* __restrict input, double tap, int64_t width,
                                       double* __restrict out) {
    for (int64_t x = 0; x < width; ++x) out[x] += tap * input[x];
}

}  // namespace

SAM_VECTOR_CLONES
void multiply(const double* a, const double* b, int64_t width, double* out) {
    for (int64_t x = 0; x < width; ++x) out[x] = a[x] * b[x];
}

SAM_VECTOR_CLONES
void weighted_sum(const double* const* inputs, const std::vector<double>& taps, int64_t width, double* out) {
    switch (taps.size()) {
        case 5:
            return weighted_sum_of<5>(inputs, taps.data(), width, out);
        case 7:
            return weighted_sum_of<7>(inputs, taps.data(), width, out);
        case 11:
            return weighted_sum_of<11>(inputs, taps.data(), width, out);
    }
    std::fill(out, out + width, 0.0);
    for (size_t k = 0; k < taps.size(); ++k) add(inputs[k], taps[k], width, out);
}

}  // namespace sam_toolkit::rows
