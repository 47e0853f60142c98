#include <algorithm>

#include "assemble_kernel.h"
#include "launch.h"

namespace sam_toolkit {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocksX = 1 << 20, kMaxBlocksY = 65535;

// Words that are stored at once.
template <typename Word>
struct alignas(16) Run {
    static constexpr int kLength = 16 / static_cast<int>(sizeof(Word));
    Word words[kLength];
};

// What one plane of a window is made from.
template <typename Word>
struct Plane {
    const Word* image;
    const Word* content;  // of the box's first row and column
    Box box;
    Window window;
};

// Word `element` of row `y` of a window's plane.
template <typename Word>
__device__ Word word_at(const Assembly<Word>& work, const Plane<Word>& plane, Word pad, int64_t y,
                        int64_t element) {
    const Grid& image = work.image;
    const int64_t row = plane.window.y + y, column = plane.window.x + element / image.unit;
    if (row < 0 || row >= image.height || column < 0 || column >= image.width) return pad;
    const int64_t lane = element % image.unit;
    if (!plane.box.has_row(row) || column < plane.box.x0 || column >= plane.box.x1)
        return plane.image[row * image.row() + column * image.unit + lane];
    const int64_t along = work.content.period != 0 ? lane : (column - plane.box.x0) * image.unit + lane;
    return plane.content[(row - plane.box.y0) * work.content.row + along];
}

// blockIdx.y is the window, blockIdx.x runs over its words, `length` at a time (1, or a whole Run where rows
// are whole Runs); both stride, so any size fits the grid.
template <typename Word, int length>
__global__ void assemble_kernel(Assembly<Word> work, Word pad) {
    const Grid& shown = work.shown;
    const int64_t row = shown.row(), step = static_cast<int64_t>(gridDim.x) * blockDim.x;
    for (int64_t p = blockIdx.y; p < work.count; p += gridDim.y) {
        const Box box = work.boxes[p];
        const Window window = work.window(p);
        const Word* image = work.base + box.image * work.image.image();
        const Word* corner = work.content.corner(p, box, work.image.unit);
        const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
        for (int64_t i = first; i < shown.image() / length; i += step) {
            const int64_t line = i * length / row, element = i * length - line * row, k = line / shown.height;
            const Plane<Word> plane{image + k * work.image.plane(), corner + k * work.content.plane, box,
                                    window};
            Word* out = work.out + p * shown.image() + i * length;
            const int64_t y = line - k * shown.height;
            if constexpr (length == 1) {
                *out = word_at(work, plane, pad, y, element);
            } else {
                Run<Word> run;
                for (int j = 0; j < length; ++j) run.words[j] = word_at(work, plane, pad, y, element + j);
                *reinterpret_cast<Run<Word>*>(out) = run;
            }
        }
    }
}

}  // namespace

template <typename Word>
cudaError_t launch_assemble(const Assembly<Word>& work, Word pad, cudaStream_t stream) {
    if (work.count == 0 || work.shown.image() == 0) return cudaSuccess;
    constexpr int kRun = Run<Word>::kLength;
    const bool runs = work.shown.row() % kRun == 0 && reinterpret_cast<uintptr_t>(work.out) % 16 == 0;
    const int64_t blocks = (work.shown.image() / (runs ? kRun : 1) + kThreads - 1) / kThreads;
    const dim3 grid(static_cast<unsigned>(std::min(blocks, kMaxBlocksX)),
                    static_cast<unsigned>(std::min(work.count, kMaxBlocksY)));
    if (runs)
        SAM_LAUNCH((assemble_kernel<Word, kRun>), grid, dim3(kThreads), stream, work, pad);
    else
        SAM_LAUNCH((assemble_kernel<Word, 1>), grid, dim3(kThreads), stream, work, pad);
    return cudaGetLastError();
}

template cudaError_t launch_assemble(const Assembly<uint16_t>&, uint16_t, cudaStream_t);
template cudaError_t launch_assemble(const Assembly<uint32_t>&, uint32_t, cudaStream_t);
template cudaError_t launch_assemble(const Assembly<uint64_t>&, uint64_t, cudaStream_t);

}  // namespace sam_toolkit
