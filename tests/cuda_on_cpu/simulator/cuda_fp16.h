#pragma once

#include "cuda_on_cpu.h"
#include "narrow_float.h"

namespace cuda_on_cpu {

// IEEE binary16, which g++ knows.
struct HalfFormat {
    static std::uint16_t encode(float value) {
        return std::bit_cast<std::uint16_t>(static_cast<_Float16>(value));
    }
    static float decode(std::uint16_t bits) { return static_cast<float>(std::bit_cast<_Float16>(bits)); }
};

}  // namespace cuda_on_cpu

using __half = cuda_on_cpu::NarrowFloat<cuda_on_cpu::HalfFormat>;
using half = __half;
struct alignas(4) __half2 {
    __half x, y;
};
using half2 = __half2;

inline __half __float2half(float value) {
    return value;
}
inline __half __float2half_rn(float value) {
    return value;
}
inline float __half2float(__half value) {
    return value;
}
inline float2 __half22float2(__half2 pair) {
    return {pair.x, pair.y};
}
inline __half2 __floats2half2_rn(float x, float y) {
    return {x, y};
}
