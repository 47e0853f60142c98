#pragma once

#include <cstddef>
#include <cstring>

// CUDA's vector types, aligned as the compiler of CUDA aligns them, and what its host functions speak of.
#define CUDA_ON_CPU_VECTORS(type, name, align2, align4)             \
    struct alignas(align2) name##2 {                                \
        type x, y;                                                  \
    };                                                              \
    struct name##3 {                                                \
        type x, y, z;                                               \
    };                                                              \
    struct alignas(align4) name##4 {                                \
        type x, y, z, w;                                            \
    };                                                              \
    inline name##2 make_##name##2(type x, type y) {                 \
        return {x, y};                                              \
    }                                                               \
    inline name##4 make_##name##4(type x, type y, type z, type w) { \
        return {x, y, z, w};                                        \
    }

CUDA_ON_CPU_VECTORS(float, float, 8, 16)
CUDA_ON_CPU_VECTORS(double, double, 16, 16)
CUDA_ON_CPU_VECTORS(int, int, 8, 16)
CUDA_ON_CPU_VECTORS(unsigned, uint, 8, 16)
CUDA_ON_CPU_VECTORS(unsigned short, ushort, 4, 8)
CUDA_ON_CPU_VECTORS(long long, longlong, 16, 16)

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorLaunchFailure = 719
};
using cudaStream_t = struct CUstream_st*;

// Nothing runs beside anything else here: what is enqueued is done at once.
inline cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t = nullptr) {
    std::memset(memory, value, bytes);
    return cudaSuccess;
}
