#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/macros.h>
#include <torch/csrc/stable/ops.h>

#include "../checks.h"
#include "../tensors.h"
#include "occlusion_map_kernel.h"
#include "stream.h"

namespace sam_toolkit {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

Tensor occlusion_map(const Tensor& scores, const Tensor& boxes, int64_t images, int64_t height,
                     int64_t width) {
    checks::occlusion_map(scores, boxes, images, height, width);
    const torch::stable::accelerator::DeviceGuard guard(scores.get_device_index());
    const Tensor there = torch::stable::to(boxes, scores.device());
    Tensor extents = torch::stable::new_empty(scores, {images, 2}, ScalarType::Long);
    Tensor cells = torch::stable::new_empty(scores, {images, height, width, 2}, ScalarType::Long);
    Tensor out = torch::stable::new_empty(scores, {images, height, width});
    with_value_type(scores, [&]<typename Value>() {
        const OcclusionMaps<Value> work{
            read<Value>(scores), scores.stride(0), read<Box>(there), boxes.size(0), images, height, width,
            write<Value>(out)};
        STD_CUDA_CHECK(
            launch_occlusion_map(work, write<Extent>(extents), write<Cell>(cells), stream_of(scores)));
    });
    return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(sam_toolkit, CUDA, library) {
    library.impl("occlusion_map", TORCH_BOX(&occlusion_map));
}

}  // namespace sam_toolkit
