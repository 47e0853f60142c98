#include "../../csrc/cuda/launch.h"

// Kernels in the style of csrc/cuda, each of which can be told to make one of these mistakes.
namespace teaching {

// In the order of the table in test_planted_bugs.py.
enum class Bug {
    none,
    no_barrier_after_load,
    no_barrier_after_rows,
    no_barrier_before_sum,
    past_row,
    past_array,
    past_tensor,
    wrong_border,
    shuffle_by_some,
    return_before_barrier,
    not_clipped,
    no_atomic
};

namespace {

constexpr int kColumns = 32, kRows = 4, kHalo = 2, kTaps = 2 * kHalo + 1, kWarps = kRows;
constexpr unsigned kAllLanes = 0xffffffff;

__device__ int mirrored(int i, int count) {
    if (i < 0) i = -i;
    return i < count ? i : 2 * (count - 1) - i;
}

__device__ int clamped(int i, int count) {
    return min(max(i, 0), count - 1);
}

__device__ float sum_of_warp(float value, int lanes, unsigned mask) {
    for (int offset = lanes / 2; offset > 0; offset /= 2) value += __shfl_down_sync(mask, value, offset);
    return value;
}

// The mean over 5 x 5 pixels of a mirrored image, and of each block the sum over its pixels.
__global__ void __launch_bounds__(kColumns* kRows)
    smooth_kernel(const float* __restrict__ image, int height, int width, Bug bug, float* __restrict__ out,
                  float* __restrict__ sums) {
    SAM_SHARED(float, tile, [kRows + 2 * kHalo][kColumns + 2 * kHalo]);
    SAM_SHARED(float, across, [kRows + 2 * kHalo][kColumns]);
    SAM_SHARED(float, partial, [kWarps]);
    const int column = threadIdx.x, row = threadIdx.y;
    const int x0 = blockIdx.x * kColumns, y0 = blockIdx.y * kRows;
    const bool inside = x0 + column < width && y0 + row < height;
    if (bug == Bug::return_before_barrier && !inside) return;

    for (int r = row; r < kRows + 2 * kHalo; r += kRows)
        for (int c = column; c < kColumns + 2 * kHalo; c += kColumns) {
            int y = mirrored(min(y0 + r - kHalo, height + kHalo), height);
            int x = mirrored(min(x0 + c - kHalo, width + kHalo), width);
            if (bug == Bug::wrong_border) x = clamped(x0 + c - kHalo, width);
            if (bug == Bug::past_tensor) y = max(y, y0 + r - kHalo);
            tile[r][c] = image[y * width + x];
        }
    if (bug != Bug::no_barrier_after_load) __syncthreads();

    const int last_column = kTaps - (bug == Bug::past_row ? 0 : 1);
    for (int r = row; r < kRows + 2 * kHalo; r += kRows) {
        float total = 0;
        for (int tap = 0; tap <= last_column; ++tap) total += tile[r][column + tap];
        across[r][column] = total;
    }
    if (bug != Bug::no_barrier_after_rows) __syncthreads();

    const int last_row = kTaps - (bug == Bug::past_array ? 0 : 1);
    float total = 0;
    for (int tap = 0; tap <= last_row; ++tap) total += across[row + tap][column];
    const float mean = inside ? total / (kTaps * kTaps) : 0;
    if (inside) out[(y0 + row) * width + x0 + column] = mean;

    float sum = mean;
    if (bug != Bug::shuffle_by_some || column < kColumns / 2) sum = sum_of_warp(mean, kColumns, kAllLanes);
    if (column == 0) partial[row] = sum;
    if (bug != Bug::no_barrier_before_sum) __syncthreads();
    if (row > 0) return;
    sum = sum_of_warp(column < kWarps ? partial[column] : 0, kColumns, kAllLanes);
    if (column == 0) sums[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

// Fills a square around a corner that may lie outside of the image; a block for each square.
__global__ void fill_kernel(const int* __restrict__ corners, int size, int height, int width, float value,
                            Bug bug, float* __restrict__ image) {
    const int y0 = corners[2 * blockIdx.x], x0 = corners[2 * blockIdx.x + 1];
    for (int i = threadIdx.x; i < size * size; i += blockDim.x) {
        const int y = y0 + i / size, x = x0 + i % size;
        const bool inside = 0 <= y && y < height && 0 <= x && x < width;
        if (inside || bug == Bug::not_clipped) image[y * width + x] = value;
    }
}

__global__ void scatter_kernel(const int* __restrict__ targets, const float* __restrict__ values, int count,
                               Bug bug, float* __restrict__ totals) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    if (bug == Bug::no_atomic)
        totals[targets[i]] += values[i];
    else
        atomicAdd(&totals[targets[i]], values[i]);
}

}  // namespace

cudaError_t smooth(const float* image, int height, int width, Bug bug, float* out, float* sums) {
    const dim3 grid((width + kColumns - 1) / kColumns, (height + kRows - 1) / kRows);
    SAM_LAUNCH(smooth_kernel, grid, dim3(kColumns, kRows), nullptr, image, height, width, bug, out, sums);
    return cudaGetLastError();
}

cudaError_t fill(const int* corners, int count, int size, int height, int width, Bug bug, float* image) {
    SAM_LAUNCH(fill_kernel, count, 32, nullptr, corners, size, height, width, 1.0f, bug, image);
    return cudaGetLastError();
}

cudaError_t scatter(const int* targets, const float* values, int count, Bug bug, float* totals) {
    SAM_LAUNCH(scatter_kernel, (count + 63) / 64, 64, nullptr, targets, values, count, bug, totals);
    return cudaGetLastError();
}

}  // namespace teaching
