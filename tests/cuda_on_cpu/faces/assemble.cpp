#include "../../../csrc/cuda/assemble_kernel.cu"
#include "face.h"

namespace {

using namespace sam_toolkit;

// `content` is colours [C] (kind 0), images like base (1) or patches [P, C, h, w] (2); `sizes` are planes,
// height, width and unit of images, of windows and of patches.
template <typename Word>
cudaError_t assemble(const Word* base, const Box* boxes, const Word* content, const Window* windows,
                     const int64_t* sizes, int64_t kind, int64_t count, int64_t pad, Word* out) {
    const Grid image{sizes[0], sizes[1], sizes[2], sizes[3]}, shown{sizes[4], sizes[5], sizes[6], sizes[7]};
    const Grid patch{sizes[8], sizes[9], sizes[10], sizes[11]};
    const auto filling = kind == 0   ? Content<Word>::colour(content, image)
                         : kind == 1 ? Content<Word>::second_images(content, image)
                                     : Content<Word>::patches(content, patch);
    const Assembly<Word> work{base, image, filling, boxes, kind == 2 ? windows : nullptr, count, shown, out};
    return launch_assemble(work, static_cast<Word>(pad), nullptr);
}

}  // namespace

CUDA_ON_CPU_FACE(assemble_16, assemble<uint16_t>)
CUDA_ON_CPU_FACE(assemble_32, assemble<uint32_t>)
CUDA_ON_CPU_FACE(assemble_64, assemble<uint64_t>)
