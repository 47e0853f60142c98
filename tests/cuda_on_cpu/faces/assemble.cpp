#include "../../../csrc/cuda/assemble_kernel.cu"
#include "face.h"

namespace {

using namespace sam_toolkit;

// `content` is colours [C] (kind 0), images like base (1) or patches [P, C, h, w] (2); `sizes` are planes,
// height, width and unit of images, of windows and of patches.
template <typename Word>
Assembly<Word> work_of(const Word* base, const Box* boxes, const Word* content, const Window* windows,
                       const int64_t* sizes, int64_t kind, int64_t count, Word* out) {
    const Grid image{sizes[0], sizes[1], sizes[2], sizes[3]}, shown{sizes[4], sizes[5], sizes[6], sizes[7]};
    const Grid patch{sizes[8], sizes[9], sizes[10], sizes[11]};
    const auto filling = kind == 0   ? Content<Word>::colour(content, image)
                         : kind == 1 ? Content<Word>::second_images(content, image)
                                     : Content<Word>::patches(content, patch);
    return {base, image, filling, boxes, kind == 2 ? windows : nullptr, count, shown, out};
}

template <typename Word>
cudaError_t assemble(const Word* base, const Box* boxes, const Word* content, const Window* windows,
                     const int64_t* sizes, int64_t kind, int64_t count, int64_t pad, Word* out) {
    return launch_assemble(work_of(base, boxes, content, windows, sizes, kind, count, out),
                           static_cast<Word>(pad), nullptr);
}

// With the 64-bit indices that images of 2**30 words and more need.
cudaError_t assemble_large(const uint32_t* base, const Box* boxes, const uint32_t* content,
                           const Window* windows, const int64_t* sizes, int64_t kind, int64_t count,
                           int64_t pad, uint32_t* out) {
    launch<uint32_t, 1, int64_t>(work_of(base, boxes, content, windows, sizes, kind, count, out),
                                 static_cast<uint32_t>(pad), nullptr);
    return cudaGetLastError();
}

cudaError_t divide(const int32_t* indices, int64_t count, int64_t divisor, int32_t* out) {
    const Divisor<int32_t> by(divisor);
    for (int64_t i = 0; i < count; ++i) out[i] = by.into(indices[i]);
    return cudaSuccess;
}

}  // namespace

CUDA_ON_CPU_FACE(assemble_16, assemble<uint16_t>)
CUDA_ON_CPU_FACE(assemble_32, assemble<uint32_t>)
CUDA_ON_CPU_FACE(assemble_64, assemble<uint64_t>)
CUDA_ON_CPU_FACE(assemble_large, assemble_large)
CUDA_ON_CPU_FACE(divide, divide)
