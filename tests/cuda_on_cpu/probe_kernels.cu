#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "../../csrc/cuda/launch.h"

// Kernels that show what the simulator makes of one built-in name or one mistake each.
namespace probe {
namespace {

constexpr unsigned kAllLanes = 0xffffffff, kLowerHalf = 0x0000ffff;

// Where each thread is: its block, its own place and the sizes, as 12 numbers.
__global__ void places_kernel(int* out) {
    const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    const int threads = blockDim.x * blockDim.y * blockDim.z;
    const unsigned place[12] = {blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z,
                                gridDim.x,  gridDim.y,  gridDim.z,  blockDim.x,  blockDim.y,  blockDim.z};
    for (int i = 0; i < 12; ++i) out[12 * (block * threads + thread) + i] = place[i];
}

enum class Warp { index, up, down, exclusive, ballot, any, all };

template <typename Value>
__device__ Value across_warp(Warp operation, Value value, int operand, int width) {
    switch (operation) {
        case Warp::index:
            return __shfl_sync(kAllLanes, value, operand, width);
        case Warp::up:
            return __shfl_up_sync(kAllLanes, value, operand, width);
        case Warp::down:
            return __shfl_down_sync(kAllLanes, value, operand, width);
        case Warp::exclusive:
            return __shfl_xor_sync(kAllLanes, value, operand, width);
        case Warp::ballot:
            return __ballot_sync(kAllLanes, value > operand);
        case Warp::any:
            return __any_sync(kAllLanes, value > operand);
        default:
            return __all_sync(kAllLanes, value > operand);
    }
}

template <typename Value>
__global__ void warp_kernel(Warp operation, int operand, int width, const Value* values, Value* out) {
    out[threadIdx.x] = across_warp(operation, values[threadIdx.x], operand, width);
}

template <typename Narrow>
__global__ void narrow_kernel(const float* values, Narrow* narrow) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    narrow[i] = values[i];
}

// Reads what other blocks of the launch before wrote.
template <typename Narrow>
__global__ void widen_kernel(const Narrow* narrow, Narrow* thirds, float* reversed) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, count = gridDim.x * blockDim.x;
    thirds[i] = narrow[i] / Narrow(3);
    reversed[i] = static_cast<float>(narrow[count - 1 - i]);
}

// In the order of test_simulator.py.
enum class Mistake {
    none,
    other_mask,
    foreign_mask,
    lane_outside,
    lane_missing,
    two_barriers,
    unwritten,
    no_warp_barrier,
    between_warps,
    between_blocks,
    overflow,
    input_written,
    misaligned
};

__device__ int deep(int depth) {
    volatile char frame[1024];
    frame[depth % 1024] = 1;
    return depth == 0 ? frame[0] : deep(depth - 1) + frame[depth % 1024];
}

// The mistakes of threads that are to meet; they are made in the first warp, but for `lane_missing`.
__device__ int met(Mistake mistake, int value) {
    const int thread = threadIdx.x;
    if (thread >= 32) return mistake == Mistake::lane_missing ? __shfl_sync(kAllLanes, value, 0) : value;
    switch (mistake) {
        case Mistake::other_mask:
            return __shfl_sync(thread < 16 ? kAllLanes : ~kLowerHalf | 1, value, thread);
        case Mistake::foreign_mask:
            return __shfl_sync(kLowerHalf, value, 0);
        case Mistake::lane_outside:
            return thread < 16 ? __shfl_sync(kLowerHalf, value, 20) : value;
        case Mistake::two_barriers:
            if (thread < 8)
                __syncthreads();
            else
                __syncthreads();
            return value;
        default:
            return value;
    }
}

__global__ void mistaken_kernel(Mistake mistake, int* input, int* out) {
    SAM_SHARED(int, row, [40]);
    SAM_SHARED(int, flag, [1]);
    const int thread = threadIdx.x, block = blockIdx.x;
    if (mistake == Mistake::between_warps && thread == 0) flag[0] = 1;
    if (mistake == Mistake::between_blocks && thread == 0 && block == 0) out[80] = block;
    if (mistake != Mistake::unwritten) row[thread] = input[thread];
    __syncwarp(thread < 32 ? kAllLanes : 0xff);
    int value = row[thread];
    if (mistake != Mistake::no_warp_barrier) __syncwarp(thread < 32 ? kAllLanes : 0xff);
    if (thread < 31) row[thread + 1] = 5;
    if (mistake == Mistake::between_warps && thread == 32) value += flag[0];
    if (mistake == Mistake::between_blocks && thread == 0 && block == 1) out[80] = block;
    if (mistake == Mistake::overflow) value = deep(100000);
    if (mistake == Mistake::input_written) input[0] = 7;
    if (mistake == Mistake::misaligned) value = reinterpret_cast<int2*>(input + 1)->x;
    out[block * blockDim.x + thread] = met(mistake, value);
}

template <int bytes>
__global__ void large_kernel(char* out) {
    SAM_SHARED(char, half, [bytes / 2]);
    SAM_SHARED(char, other_half, [bytes - bytes / 2]);
    half[0] = other_half[0] = 1;
    out[0] = half[0];
}

}  // namespace

cudaError_t places(int* out) {
    SAM_LAUNCH(places_kernel, dim3(2, 3, 2), dim3(5, 2, 3), nullptr, out);
    return cudaGetLastError();
}

template <typename Value>
cudaError_t warp(Warp operation, int operand, int width, const Value* values, Value* out) {
    SAM_LAUNCH(warp_kernel<Value>, 1, 32, nullptr, operation, operand, width, values, out);
    return cudaGetLastError();
}

template <typename Narrow>
cudaError_t narrow(const float* values, int blocks, Narrow* narrow, Narrow* thirds, float* reversed) {
    SAM_LAUNCH(narrow_kernel<Narrow>, blocks, 64, nullptr, values, narrow);
    SAM_LAUNCH(widen_kernel<Narrow>, blocks, 64, nullptr, narrow, thirds, reversed);
    return cudaGetLastError();
}

cudaError_t mistaken(Mistake mistake, int* input, int* out) {
    SAM_LAUNCH(mistaken_kernel, 2, 40, nullptr, mistake, input, out);
    return cudaGetLastError();
}

cudaError_t large(bool too_large, char* out) {
    if (too_large)
        SAM_LAUNCH((large_kernel<48 * 1024 + 1>), 1, 1, nullptr, out);
    else
        SAM_LAUNCH((large_kernel<48 * 1024>), 1, 1, nullptr, out);
    return cudaGetLastError();
}

cudaError_t shaped(int gx, int gy, int gz, int bx, int by, int bz, char* out) {
    SAM_LAUNCH(large_kernel<8>, dim3(gx, gy, gz), dim3(bx, by, bz), nullptr, out);
    return cudaGetLastError();
}

}  // namespace probe
