#pragma once

#include "cuda_on_cpu.h"
#include "narrow_float.h"

namespace cuda_on_cpu {

// The upper half of a float32, rounded to the nearest, ties to even.
struct BrainFormat {
    static std::uint16_t encode(float value) {
        const auto bits = std::bit_cast<std::uint32_t>(value);
        if (value != value) return 0x7fff;
        return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
    static float decode(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
};

}  // namespace cuda_on_cpu

using __nv_bfloat16 = cuda_on_cpu::NarrowFloat<cuda_on_cpu::BrainFormat>;
using nv_bfloat16 = __nv_bfloat16;
struct alignas(4) __nv_bfloat162 {
    __nv_bfloat16 x, y;
};
using nv_bfloat162 = __nv_bfloat162;

inline __nv_bfloat16 __float2bfloat16(float value) {
    return value;
}
inline __nv_bfloat16 __float2bfloat16_rn(float value) {
    return value;
}
inline float __bfloat162float(__nv_bfloat16 value) {
    return value;
}
inline float2 __bfloat1622float2(__nv_bfloat162 pair) {
    return {pair.x, pair.y};
}
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) {
    return {x, y};
}
