#pragma once

#include <math.h>

#include <cstdint>
#include <source_location>
#include <type_traits>

#include "runtime_types.h"

// What a kernel file sees in place of CUDA: its built-in names, for g++. scheduler.cpp runs what is launched.
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

#define threadIdx (::cuda_on_cpu::place->thread)
#define blockIdx (::cuda_on_cpu::place->block)
#define blockDim (::cuda_on_cpu::place->block_size)
#define gridDim (::cuda_on_cpu::place->grid_size)
inline constexpr int warpSize = 32;

#define SAM_LAUNCH(kernel, grid, block, stream, ...) \
    (static_cast<void>(stream), ::cuda_on_cpu::launch(#kernel, grid, block, [&] { (kernel)(__VA_ARGS__); }))

// A reference of exact type, so that indices are checked against each extent; the key tells instances of a
// template apart.
#define SAM_SHARED(type, name, extents)  \
    static const char name##_key = 0;    \
    using name##_extents = type extents; \
    name##_extents& name = ::cuda_on_cpu::shared<name##_extents>(&name##_key)

#pragma GCC visibility push(default)
namespace cuda_on_cpu {

using Where = std::source_location;

struct Place {
    uint3 thread, block;
    dim3 block_size, grid_size;
};
extern const Place* place;  // the running thread's

// Where threads wait for each other: all of a block, or the lanes of a warp that `mask` names. `received` is
// set to what lane `source` brings in `bits`, or for a vote to the lanes that bring a one.
struct Meeting {
    enum Kind { barrier, warp_barrier, shuffle, vote } kind;
    const char* name;
    Where where;
    unsigned mask = 0;
    unsigned source = 0;
    std::uint64_t bits = 0;
};
std::uint64_t meet(const Meeting& meeting);

void* shared_memory(const void* key, std::size_t bytes);
void launch_body(const char* kernel, dim3 grid, dim3 block, void (*body)(void*), void* context);

}  // namespace cuda_on_cpu

extern "C" cudaError_t cudaGetLastError();
#pragma GCC visibility pop

namespace cuda_on_cpu {

template <typename Array>
Array& shared(const void* key) {
    return *static_cast<Array*>(shared_memory(key, sizeof(Array)));
}

template <typename Body>
void launch(const char* kernel, dim3 grid, dim3 block, Body body) {
    launch_body(kernel, grid, block, [](void* context) { (*static_cast<Body*>(context))(); }, &body);
}

inline unsigned lane() {
    const unsigned row = threadIdx.y + threadIdx.z * blockDim.y;
    return (threadIdx.x + row * blockDim.x) % warpSize;
}

template <typename Value>
Value shuffle(const char* name, unsigned mask, Value value, unsigned source, Where where) {
    static_assert(std::is_trivially_copyable_v<Value> && sizeof(Value) <= sizeof(std::uint64_t));
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    bits = meet({Meeting::shuffle, name, where, mask, source, bits});
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline unsigned vote(const char* name, unsigned mask, bool predicate, Where where) {
    return static_cast<unsigned>(meet({Meeting::vote, name, where, mask, 0, predicate}));
}

template <typename Value, typename Change>
Value update(Value* address, Change change) {
    Value before;
    __atomic_load(address, &before, __ATOMIC_RELAXED);
    Value after = change(before);
    while (!__atomic_compare_exchange(address, &before, &after, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        after = change(before);
    return before;
}

}  // namespace cuda_on_cpu

#define CUDA_ON_CPU_HERE ::cuda_on_cpu::Where where = ::cuda_on_cpu::Where::current()

inline void __syncthreads(CUDA_ON_CPU_HERE) {
    ::cuda_on_cpu::meet({::cuda_on_cpu::Meeting::barrier, __func__, where});
}

inline void __syncwarp(unsigned mask = ~0u, CUDA_ON_CPU_HERE) {
    ::cuda_on_cpu::meet({::cuda_on_cpu::Meeting::warp_barrier, __func__, where, mask});
}

template <typename Value>
Value __shfl_sync(unsigned mask, Value value, int source, int width = warpSize, CUDA_ON_CPU_HERE) {
    const unsigned lane = ::cuda_on_cpu::lane(), first = lane / width * width;
    return ::cuda_on_cpu::shuffle(__func__, mask, value, first + source % width, where);
}

template <typename Value>
Value __shfl_up_sync(unsigned mask, Value value, unsigned delta, int width = warpSize, CUDA_ON_CPU_HERE) {
    const unsigned lane = ::cuda_on_cpu::lane();
    return ::cuda_on_cpu::shuffle(__func__, mask, value, lane % width < delta ? lane : lane - delta, where);
}

template <typename Value>
Value __shfl_down_sync(unsigned mask, Value value, unsigned delta, int width = warpSize, CUDA_ON_CPU_HERE) {
    const unsigned lane = ::cuda_on_cpu::lane();
    const bool inside = lane % width + delta < static_cast<unsigned>(width);
    return ::cuda_on_cpu::shuffle(__func__, mask, value, inside ? lane + delta : lane, where);
}

template <typename Value>
Value __shfl_xor_sync(unsigned mask, Value value, int lanes, int width = warpSize, CUDA_ON_CPU_HERE) {
    const unsigned lane = ::cuda_on_cpu::lane(), source = lane ^ lanes, end = (lane / width + 1) * width;
    return ::cuda_on_cpu::shuffle(__func__, mask, value, source < end ? source : lane, where);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, CUDA_ON_CPU_HERE) {
    return ::cuda_on_cpu::vote(__func__, mask, predicate, where);
}

inline int __any_sync(unsigned mask, int predicate, CUDA_ON_CPU_HERE) {
    return ::cuda_on_cpu::vote(__func__, mask, predicate, where) != 0;
}

inline int __all_sync(unsigned mask, int predicate, CUDA_ON_CPU_HERE) {
    return ::cuda_on_cpu::vote(__func__, mask, predicate, where) == mask;
}

template <typename Value>
Value atomicAdd(Value* address, std::type_identity_t<Value> value) {
    return ::cuda_on_cpu::update(address, [&](Value before) { return static_cast<Value>(before + value); });
}

template <typename Value>
Value atomicMax(Value* address, std::type_identity_t<Value> value) {
    return ::cuda_on_cpu::update(address, [&](Value before) { return before < value ? value : before; });
}

template <typename Value>
Value atomicMin(Value* address, std::type_identity_t<Value> value) {
    return ::cuda_on_cpu::update(address, [&](Value before) { return value < before ? value : before; });
}

template <typename Value>
Value __ldg(const Value* address) {
    return *address;
}

template <typename Value>
Value __ldcs(const Value* address) {
    return *address;
}

template <typename Value>
void __stcs(Value* address, std::type_identity_t<Value> value) {
    *address = value;
}

template <typename A, typename B>
    requires(std::is_arithmetic_v<A> && std::is_arithmetic_v<B>)
std::common_type_t<A, B> min(A a, B b) {
    return b < a ? b : a;
}

template <typename A, typename B>
    requires(std::is_arithmetic_v<A> && std::is_arithmetic_v<B>)
std::common_type_t<A, B> max(A a, B b) {
    return a < b ? b : a;
}

inline float rsqrtf(float x) {
    return 1.0f / sqrtf(x);
}
inline float __fdividef(float x, float y) {
    return x / y;
}
inline float __frcp_rn(float x) {
    return 1.0f / x;
}
