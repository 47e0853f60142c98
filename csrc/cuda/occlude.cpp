#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/macros.h>
#include <torch/csrc/stable/ops.h>

#include "../checks.h"
#include "../tensors.h"
#include "occlude_kernel.h"

namespace sam_toolkit {
namespace {

using torch::stable::Tensor;

cudaStream_t current_stream(const Tensor& tensor) {
    void* stream = nullptr;
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(tensor.get_device_index(), &stream));
    return static_cast<cudaStream_t>(stream);
}

Tensor occlude(const Tensor& images, const Tensor& boxes, const Tensor& fill) {
    checks::occlude(images, boxes, fill);
    const torch::stable::accelerator::DeviceGuard guard(images.get_device_index());
    const ImageShape shape{images.size(1), images.size(2), images.size(3)};
    Tensor out = torch::stable::new_empty(images, {boxes.size(0), shape.channels, shape.height, shape.width});
    if (out.numel() == 0) return out;
    const Tensor from = torch::stable::contiguous(images), filling = torch::stable::contiguous(fill);
    const Tensor where = torch::stable::to(boxes, images.device());
    with_value_type(images, [&]<typename Value>() {
        STD_CUDA_CHECK(launch_occlude(read<Value>(from), read<Box>(where),
                                      Fill<Value>{read<Value>(filling), fill.dim() == 1}, shape,
                                      boxes.size(0), write<Value>(out), current_stream(images)));
    });
    return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(sam_toolkit, CUDA, library) {
    library.impl("occlude", TORCH_BOX(&occlude));
}

}  // namespace sam_toolkit
