#pragma once

#include <bit>
#include <cstdint>

namespace cuda_on_cpu {

// A 16-bit floating-point number that computes as CUDA's do: in float32, every result rounded. It converts
// from and to float32 by itself.
template <typename Format>
struct NarrowFloat {
    std::uint16_t bits;

    NarrowFloat() = default;
    NarrowFloat(float value) : bits(Format::encode(value)) {}
    NarrowFloat(double value) : NarrowFloat(static_cast<float>(value)) {}
    NarrowFloat(int value) : NarrowFloat(static_cast<float>(value)) {}
    operator float() const { return Format::decode(bits); }

    friend NarrowFloat operator+(NarrowFloat a, NarrowFloat b) { return float{a} + float{b}; }
    friend NarrowFloat operator-(NarrowFloat a, NarrowFloat b) { return float{a} - float{b}; }
    friend NarrowFloat operator*(NarrowFloat a, NarrowFloat b) { return float{a} * float{b}; }
    friend NarrowFloat operator/(NarrowFloat a, NarrowFloat b) { return float{a} / float{b}; }
};

}  // namespace cuda_on_cpu
