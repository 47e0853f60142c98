#pragma once

#include <cstdint>

#include "../portable.h"

namespace sam_toolkit {

// What indices are divided by: known before the launch, so that 32-bit ones are multiplied instead.
template <typename Index>
class Divisor {
  public:
    explicit Divisor(int64_t divisor) : divisor_(divisor) {}
    SAM_HOST_DEVICE Index into(Index index) const { return index / divisor_; }
    SAM_HOST_DEVICE Index value() const { return divisor_; }

  private:
    Index divisor_;
};

// Exact for indices below 2**31 (Granlund and Montgomery, 1994): the factor is 2**(31 + shift) / divisor,
// rounded up by less than 2**shift / divisor, which an index cannot carry into the quotient.
template <>
class Divisor<int32_t> {
  public:
    explicit Divisor(int64_t divisor) : divisor_(static_cast<uint32_t>(divisor)) {
        while (int64_t{1} << shift_ < divisor) ++shift_;
        factor_ = static_cast<uint32_t>(((int64_t{1} << (31 + shift_)) + divisor - 1) / divisor);
    }

    SAM_HOST_DEVICE int32_t into(int32_t index) const {
        const uint64_t twice = static_cast<uint32_t>(index) * 2u;
        return static_cast<int32_t>(static_cast<uint32_t>(twice * factor_ >> 32) >> shift_);
    }
    SAM_HOST_DEVICE int32_t value() const { return static_cast<int32_t>(divisor_); }

  private:
    uint32_t divisor_, factor_, shift_ = 0;
};

}  // namespace sam_toolkit
