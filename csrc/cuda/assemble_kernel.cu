#include <algorithm>
#include <type_traits>

#include "assemble_kernel.h"
#include "divisor.h"
#include "launch.h"

namespace sam_toolkit {
namespace {

constexpr int kThreads = 256, kBlocksAtOnce = 4;  // of a multiprocessor: more would spill registers
// Blocks enough to fill any GPU several times. Where windows are many, each has fewer of them: a block finds
// out about its window once, and then stores run after run.
constexpr int64_t kBlocks = 1 << 14;
constexpr int64_t kMaxShort =
    1 << 30;  // words of an image for which 32-bit indices, and sums of two, suffice

// Words that are stored at once.
template <typename Word, int length>
struct alignas(sizeof(Word) * length) Run {
    Word words[length];
};

// Runs in a row of a window, rows in its planes, and words in a unit.
template <typename Index>
struct Divisors {
    Divisor<Index> row, height, unit;
};

// Where the words of one window come from. Columns are counted in words.
template <typename Index>
struct Scene {
    int64_t image, content;  // the first words of the image, and of what the box holds
    Index plane, row, height, content_plane, content_row;
    Index y, x, box_y, box_x, box_height, box_width;  // in the image
    bool colour;

    template <typename Word>
    __device__ static Scene of(const Assembly<Word>& work, int64_t p) {
        const Box box = work.boxes[p];
        const Window window = work.window(p);
        const Grid& grid = work.image;
        Scene scene;
        scene.image = box.image * grid.image();
        scene.content = work.content.corner(p, box, grid.unit) - work.content.words;
        scene.plane = grid.plane(), scene.row = grid.row(), scene.height = grid.height;
        scene.content_plane = work.content.plane, scene.content_row = work.content.row;
        scene.y = window.y, scene.x = window.x * grid.unit;
        scene.box_y = box.y0, scene.box_x = box.x0 * grid.unit;
        scene.box_height = box.y1 - box.y0, scene.box_width = (box.x1 - box.x0) * grid.unit;
        scene.colour = work.content.period != 0;
        return scene;
    }
};

// Whether 0 <= index < limit: negative numbers are large as unsigned ones.
template <typename Index>
__device__ bool below(Index index, Index limit) {
    using Unsigned = std::make_unsigned_t<Index>;
    return static_cast<Unsigned>(index) < static_cast<Unsigned>(limit);
}

template <int length, typename Word>
__device__ Run<Word, length> copied(const Word* from) {
    using Whole = Run<Word, length>;
    if (reinterpret_cast<uintptr_t>(from) % sizeof(Whole) == 0) return *reinterpret_cast<const Whole*>(from);
    Whole run;
    for (int j = 0; j < length; ++j) run.words[j] = from[j];
    return run;
}

template <typename Word, typename Index>
struct Reader {
    const Word *image, *content;
    Scene<Index> scene;
    Divisor<Index> unit;
    Word pad;

    // The words from `a` in row `r` of plane `k`; where all are of the image, or all of the content, at once.
    template <int length>
    __device__ Run<Word, length> words(Index k, Index r, Index a) const {
        Run<Word, length> run;
        for (Word& word : run.words) word = pad;
        if (!below(r, scene.height)) return run;
        const Index width = scene.box_width, in_box = a - scene.box_x;
        const Index shown = k * scene.plane + r * scene.row + a;
        const bool boxed = below(r - scene.box_y, scene.box_height);
        const bool clear = !boxed || in_box <= -length || in_box >= width;
        if (length > 1 && clear && a >= 0 && a <= scene.row - length) return copied<length>(image + shown);
        const Index hidden = k * scene.content_plane + (r - scene.box_y) * scene.content_row;
        if (length > 1 && !clear && !scene.colour && in_box >= 0 && in_box <= width - length)
            return copied<length>(content + (hidden + in_box));
        for (int j = 0; j < length; ++j) {
            Index along = in_box + j;
            if (boxed && below(along, width)) {
                if (scene.colour) along -= unit.into(along) * unit.value();
                run.words[j] = content[hidden + along];
            } else if (below(a + j, scene.row)) {
                run.words[j] = image[shown + j];
            }
        }
        return run;
    }
};

// blockIdx.y is the window and blockIdx.x goes over its runs; both stride, so any size fits the grid.
template <typename Word, int length, typename Index>
__global__ void __launch_bounds__(kThreads, kBlocksAtOnce)
    assemble_kernel(Assembly<Word> work, Word pad, Divisors<Index> divisors) {
    SAM_SHARED(Scene<Index>, scene, [1]);
    const auto runs = static_cast<Index>(work.shown.image() / length);
    const auto step = static_cast<Index>(gridDim.x) * kThreads;
    const auto first = static_cast<Index>(blockIdx.x) * kThreads + static_cast<Index>(threadIdx.x);
    for (int64_t p = blockIdx.y; p < work.count; p += gridDim.y) {
        __syncthreads();
        if (threadIdx.x == 0) scene[0] = Scene<Index>::of(work, p);
        __syncthreads();
        const Reader<Word, Index> reader{work.base + scene[0].image, work.content.words + scene[0].content,
                                         scene[0], divisors.unit, pad};
        auto* out = reinterpret_cast<Run<Word, length>*>(work.out + p * work.shown.image());
        for (Index i = first; i < runs; i += step) {
            const Index line = divisors.row.into(i), k = divisors.height.into(line);
            const Index r = line - k * divisors.height.value() + reader.scene.y;
            const Index a = (i - line * divisors.row.value()) * length + reader.scene.x;
            out[i] = reader.template words<length>(k, r, a);
        }
    }
}

template <typename Word, int length, typename Index>
void launch(const Assembly<Word>& work, Word pad, cudaStream_t stream) {
    const Grid& shown = work.shown;
    const Divisors<Index> divisors{Divisor<Index>(shown.row() / length), Divisor<Index>(shown.height),
                                   Divisor<Index>(work.image.unit)};
    const unsigned windows = blocks_of(work.count);
    const int64_t blocks = (shown.image() / length + kThreads - 1) / kThreads;
    const dim3 grid(static_cast<unsigned>(std::min(blocks, (kBlocks + windows - 1) / windows)), windows);
    SAM_LAUNCH((assemble_kernel<Word, length, Index>), grid, dim3(kThreads), stream, work, pad, divisors);
}

}  // namespace

template <typename Word>
cudaError_t launch_assemble(const Assembly<Word>& work, Word pad, cudaStream_t stream) {
    if (work.count == 0 || work.shown.image() == 0) return cudaSuccess;
    constexpr int kRun = 16 / static_cast<int>(sizeof(Word));
    if (std::max(work.shown.image(), work.image.image()) > kMaxShort)
        launch<Word, 1, int64_t>(work, pad, stream);
    else if (work.shown.row() % kRun == 0 && reinterpret_cast<uintptr_t>(work.out) % 16 == 0)
        launch<Word, kRun, int32_t>(work, pad, stream);
    else
        launch<Word, 1, int32_t>(work, pad, stream);
    return cudaGetLastError();
}

template cudaError_t launch_assemble(const Assembly<uint16_t>&, uint16_t, cudaStream_t);
template cudaError_t launch_assemble(const Assembly<uint32_t>&, uint32_t, cudaStream_t);
template cudaError_t launch_assemble(const Assembly<uint64_t>&, uint64_t, cudaStream_t);

}  // namespace sam_toolkit
