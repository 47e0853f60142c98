#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "portable.h"

namespace sam_toolkit {

// The scores of one image as whole multiples of a power of two, so small that the largest of them is about
// 2**60 in all of its boxes together: sums of such numbers are exact, whatever their order, and a pixel
// without a box is exactly 0. Every backend rounds here and nowhere else, and so to the same bits.
class Multiples {
  public:
    // `largest` is that of the absolute scores of `count` boxes.
    SAM_HOST_DEVICE Multiples(double largest, int64_t count)
        : exponent_(59 - exponent_of(largest < kSmallest ? kSmallest : largest) -
                    exponent_of(2.0 * static_cast<double>(count) + 1.0)) {}

    // Sums are modulo 2**64, as a GPU adds: scores that are not finite are nobody's undefined behaviour.
    SAM_HOST_DEVICE uint64_t of(double score) const {
        return static_cast<uint64_t>(std::llrint(score * power_of_two(exponent_)));
    }

    SAM_HOST_DEVICE double mean(uint64_t total, uint64_t covering) const {
        const auto boxes = static_cast<double>(covering == 0 ? 1 : covering);
        return static_cast<double>(static_cast<int64_t>(total)) / boxes * power_of_two(-exponent_);
    }

  private:
    static constexpr double kSmallest = 1e-290;  // less of a score is left out: its scale would overflow

    // Of a number that is neither 0 nor subnormal.
    SAM_HOST_DEVICE static int exponent_of(double value) {
        return static_cast<int>(std::bit_cast<uint64_t>(value) >> 52 & 0x7ff) - 1023;
    }

    SAM_HOST_DEVICE static double power_of_two(int exponent) {
        return std::bit_cast<double>(static_cast<uint64_t>(1023 + exponent) << 52);
    }

    int exponent_;
};

}  // namespace sam_toolkit
