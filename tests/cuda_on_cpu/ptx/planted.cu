#include <cuda_runtime.h>

// out[block] is the sum of a moving sum over the block's part of `in`, and one kernel for each way to spoil
// it. The interpreter must pass `correct` and refuse all others.
namespace {

enum class Bug {
    correct,
    no_barrier_after_the_load,
    no_barrier_before_the_total,
    no_barrier_before_the_second_load,
    read_past_the_input,
    read_before_the_input,
    read_past_the_tile,
    misaligned_vector,
    tile_not_filled,
    half_a_warp_shuffles_with_a_full_mask,
    lane_outside_its_own_mask,
    lane_reads_one_that_its_mask_leaves_out,
    lanes_name_different_masks,
    return_before_the_barrier,
    barriers_in_two_branches,
    several_threads_write_one_output,
    blocks_write_one_output,
};

constexpr int kThreads = 64, kWarp = 32;
constexpr unsigned kAll = 0xffffffffu;

__device__ float warp_sum(float value, unsigned mask) {
    for (int offset = kWarp / 2; offset > 0; offset /= 2) value += __shfl_down_sync(mask, value, offset);
    return value;
}

template <Bug bug>
__device__ float reduce(float value, int lane) {
    if (bug == Bug::half_a_warp_shuffles_with_a_full_mask) {
        if (lane < kWarp / 2) return warp_sum(value, kAll);
        return value;
    }
    if (bug == Bug::lane_outside_its_own_mask) return warp_sum(value, 0x7fffffffu);
    if (bug == Bug::lane_reads_one_that_its_mask_leaves_out)
        return lane < kWarp / 2 ? warp_sum(value, 0x0000ffffu) : value;
    if (bug == Bug::lanes_name_different_masks) return warp_sum(value, lane ? kAll : 0x0000ffffu);
    return warp_sum(value, kAll);
}

template <Bug bug>
__device__ void moving_sums(const float* in, int count, float* out) {
    __shared__ float tile[kThreads + 2];
    __shared__ float totals[kThreads / kWarp];
    const int at = threadIdx.x, lane = at % kWarp;
    float total = 0;
    for (int round = 0; round < 2; ++round) {
        const int start = (blockIdx.x * 2 + round) * kThreads;
        const int last = bug == Bug::read_past_the_input ? count : count - 1;
        const int first = bug == Bug::read_before_the_input ? -1 : 0;
        for (int i = at; i < kThreads + (bug == Bug::tile_not_filled ? 1 : 2); i += kThreads)
            tile[i] = in[max(first, min(start + i - 1, last))];
        if (bug != Bug::no_barrier_after_the_load) __syncthreads();
        const int end = bug == Bug::read_past_the_tile ? at + 3 : at + 2;
        for (int i = at; i <= end; ++i) total += tile[i];
        if (bug != Bug::no_barrier_before_the_second_load) __syncthreads();
    }
    if (bug == Bug::misaligned_vector) {
        const float2 both = reinterpret_cast<const float2*>(in + 1)[at];
        total += both.x * both.y;
    }
    if (bug == Bug::return_before_the_barrier && at >= kWarp) return;
    if (bug == Bug::barriers_in_two_branches && at < kWarp) {
        __syncthreads();
        total += tile[0];
    }
    total = reduce<bug>(total, lane);
    if (lane == 0) totals[at / kWarp] = total;
    if (bug != Bug::no_barrier_before_the_total) __syncthreads();
    const int writers = bug == Bug::several_threads_write_one_output ? 2 : 1;
    const int block = bug == Bug::blocks_write_one_output ? 0 : blockIdx.x;
    if (at < writers) out[block] = totals[0] + totals[1];
}

}  // namespace

#define KERNEL(bug)                                                          \
    extern "C" __global__ void bug(const float* in, int count, float* out) { \
        moving_sums<Bug::bug>(in, count, out);                               \
    }

KERNEL(correct)
KERNEL(no_barrier_after_the_load)
KERNEL(no_barrier_before_the_total)
KERNEL(no_barrier_before_the_second_load)
KERNEL(read_past_the_input)
KERNEL(read_before_the_input)
KERNEL(read_past_the_tile)
KERNEL(misaligned_vector)
KERNEL(tile_not_filled)
KERNEL(half_a_warp_shuffles_with_a_full_mask)
KERNEL(lane_outside_its_own_mask)
KERNEL(lane_reads_one_that_its_mask_leaves_out)
KERNEL(lanes_name_different_masks)
KERNEL(return_before_the_barrier)
KERNEL(barriers_in_two_branches)
KERNEL(several_threads_write_one_output)
KERNEL(blocks_write_one_output)
