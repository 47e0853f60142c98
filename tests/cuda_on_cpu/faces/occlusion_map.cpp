#include <vector>

#include "../../../csrc/cuda/occlusion_map_kernel.cu"
#include "face.h"

namespace {

using namespace sam_toolkit;

// `sizes` are the step between scores, how many there are, and images, height and width of the maps; the
// kernels' own memory holds anything before.
template <typename Value>
cudaError_t occlusion_map(const Value* scores, const Box* boxes, const int64_t* sizes, Value* out) {
    const OcclusionMaps<Value> work{scores, sizes[0], boxes, sizes[1], sizes[2], sizes[3], sizes[4], out};
    std::vector<Extent> extents(work.images, Extent{~0ull, ~0ull});
    std::vector<Cell> cells(work.images * work.height * work.width, Cell{~0ull, ~0ull});
    return launch_occlusion_map(work, extents.data(), cells.data(), nullptr);
}

}  // namespace

CUDA_ON_CPU_FACE(map_float, occlusion_map<float>)
CUDA_ON_CPU_FACE(map_double, occlusion_map<double>)
