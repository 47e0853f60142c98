#include <algorithm>

#include "../occlusion_sums.h"
#include "launch.h"
#include "occlusion_map_kernel.h"

// A box is written as the differences that it makes at corners, and prefix sums of the differences are the
// totals per pixel, as on the CPU. Images are cut into tiles whose sums begin anew, so that each tile is a
// warp's, and warps wait for nobody: a box costs atomic additions at its corners in each tile that it
// touches, and a pixel costs its cell cleared, read once and its mean written. Sums of whole numbers do not
// depend on the order of additions.
namespace sam_toolkit {
namespace {

constexpr int kThreads = 128, kWarp = 32, kTile = 32;
constexpr int64_t kMaxBlocks = 1 << 20;
constexpr unsigned kAllLanes = ~0u;

__device__ Multiples multiples_of(const Extent& extent) {
    return {std::bit_cast<double>(extent.largest), static_cast<int64_t>(extent.count)};
}

// Boxes of one image mostly follow each other: a warp whose boxes are all of one image updates it once. Where
// boxes end within a warp, its other lanes repeat the last.
template <typename Value>
__global__ void extent_kernel(OcclusionMaps<Value> work, Extent* extents) {
    const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
    for (int64_t first = static_cast<int64_t>(blockIdx.x) * kThreads; first < work.count; first += step) {
        const int64_t own = first + threadIdx.x, p = min(own, work.count - 1);
        const int64_t image = work.boxes[p].image;
        const double score = fabs(static_cast<double>(work.scores[p * work.step]));
        auto largest = std::bit_cast<unsigned long long>(score);
        const bool alike = __all_sync(kAllLanes, image == __shfl_sync(kAllLanes, image, 0));
        for (int apart = kWarp / 2; apart > 0; apart /= 2) {
            const unsigned long long other = __shfl_xor_sync(kAllLanes, largest, apart);
            if (alike && other > largest) largest = other;
        }
        const int64_t boxes = alike ? min(work.count - own, int64_t{kWarp}) : 1;
        if (own < work.count && (!alike || threadIdx.x % kWarp == 0)) {
            atomicMax(&extents[image].largest, largest);
            atomicAdd(&extents[image].count, static_cast<unsigned long long>(boxes));
        }
    }
}

// Calls `each` with the places along an axis at which a box begins to be over a tile (1) or ceases to be
// (-1).
template <typename Each>
__device__ void each_edge(int64_t begin, int64_t end, int64_t length, const Each& each) {
    for (int64_t at = begin; at < end; at = (at / kTile + 1) * kTile) each(at, 1);
    if (end % kTile != 0 && end < length) each(end, -1);
}

template <typename Value>
__global__ void scatter_kernel(OcclusionMaps<Value> work, const Extent* extents, Cell* cells) {
    const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
    for (int64_t p = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; p < work.count; p += step) {
        const Box box = work.boxes[p];
        const auto score = static_cast<double>(work.scores[p * work.step]);
        const unsigned long long multiple = multiples_of(extents[box.image]).of(score);
        each_edge(box.y0, box.y1, work.height, [&](int64_t y, int down) {
            Cell* row = cells + (box.image * work.height + y) * work.width;
            each_edge(box.x0, box.x1, work.width, [&](int64_t x, int across) {
                const bool begins = down == across;
                atomicAdd(&row[x].total, begins ? multiple : 0 - multiple);
                atomicAdd(&row[x].covering, begins ? 1ull : ~0ull);
            });
        });
    }
}

// The sum over a lane and those before it.
template <typename Whole>
__device__ Whole prefix_sum(Whole value) {
    for (int before = 1; before < kWarp; before *= 2) {
        const Whole other = __shfl_up_sync(kAllLanes, value, before);
        if (threadIdx.x % kWarp >= before) value += other;
    }
    return value;
}

// blockIdx.y is a row of tiles, and each thread goes down a column of it; both indices stride, so any size
// fits the grid. Of boxes over a pixel there are less than 2**32: they would take 160 GiB.
template <typename Value>
__global__ void box_mean_kernel(OcclusionMaps<Value> work, const Extent* __restrict__ extents,
                                const Cell* __restrict__ cells) {
    const int64_t down = (work.height + kTile - 1) / kTile, step = static_cast<int64_t>(gridDim.x) * kThreads;
    for (int64_t tiles = blockIdx.y; tiles < work.images * down; tiles += gridDim.y) {
        const int64_t image = tiles / down, y0 = (tiles - image * down) * kTile;
        const int64_t first = (image * work.height + y0) * work.width;
        const int rows = static_cast<int>(min(work.height - y0, int64_t{kTile}));
        const Multiples multiples = multiples_of(extents[image]);
        for (int64_t begin = static_cast<int64_t>(blockIdx.x) * kThreads; begin < work.width; begin += step) {
            const int64_t x = begin + threadIdx.x;
            unsigned long long total = 0;
            unsigned covering = 0;
            for (int y = 0; y < rows; ++y) {
                const int64_t pixel = first + y * work.width + x;
                if (x < work.width) {
                    const Cell cell = cells[pixel];
                    total += cell.total;
                    covering += static_cast<unsigned>(cell.covering);
                }
                const double mean = multiples.mean(prefix_sum(total), prefix_sum(covering));
                if (x < work.width) work.out[pixel] = static_cast<Value>(mean);
            }
        }
    }
}

// As many blocks as hold these threads, or fewer, which then stride.
unsigned blocks_for(int64_t threads) {
    return static_cast<unsigned>(std::min((threads + kThreads - 1) / kThreads, kMaxBlocks));
}

}  // namespace

template <typename Value>
cudaError_t launch_occlusion_map(const OcclusionMaps<Value>& work, Extent* extents, Cell* cells,
                                 cudaStream_t stream) {
    const int64_t pixels = work.images * work.height * work.width;
    if (pixels == 0) return cudaSuccess;
    const cudaError_t cleared[] = {
        cudaMemsetAsync(extents, 0, sizeof(Extent) * static_cast<size_t>(work.images), stream),
        cudaMemsetAsync(cells, 0, sizeof(Cell) * static_cast<size_t>(pixels), stream)};
    for (const cudaError_t error : cleared)
        if (error != cudaSuccess) return error;
    const dim3 block(kThreads), by_box(blocks_for(work.count));
    if (work.count > 0) {
        SAM_LAUNCH((extent_kernel<Value>), by_box, block, stream, work, extents);
        SAM_LAUNCH((scatter_kernel<Value>), by_box, block, stream, work, extents, cells);
    }
    const dim3 by_column(blocks_for(work.width),
                         blocks_of(work.images * ((work.height + kTile - 1) / kTile)));
    SAM_LAUNCH((box_mean_kernel<Value>), by_column, block, stream, work, extents, cells);
    return cudaGetLastError();
}

template cudaError_t launch_occlusion_map(const OcclusionMaps<float>&, Extent*, Cell*, cudaStream_t);
template cudaError_t launch_occlusion_map(const OcclusionMaps<double>&, Extent*, Cell*, cudaStream_t);

}  // namespace sam_toolkit
