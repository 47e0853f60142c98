#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/macros.h>

#include <vector>

#include "../assembly.h"
#include "../checks.h"
#include "assemble_kernel.h"
#include "stream.h"

namespace sam_toolkit {
namespace {

using torch::stable::Tensor;

template <typename Word>
void launch(const Operands& call, const Tensor& boxes, const Window* windows, uint64_t pad) {
    STD_CUDA_CHECK(launch_assemble(call.assembly<Word>(read<Box>(boxes), windows), static_cast<Word>(pad),
                                   stream_of(call.base)));
}

// Values are words of their size: they are moved, whatever they mean.
void launch_any(const Operands& call, const Tensor& boxes, const Window* windows, uint64_t pad) {
    const Tensor there = torch::stable::to(boxes, call.base.device());
    switch (call.base.element_size()) {
        case 2:
            return launch<uint16_t>(call, there, windows, pad);
        case 4:
            return launch<uint32_t>(call, there, windows, pad);
        default:
            return launch<uint64_t>(call, there, windows, pad);
    }
}

Tensor occlude(const Tensor& images, const Tensor& boxes, const Tensor& fill) {
    checks::occlude(images, boxes, fill);
    const torch::stable::accelerator::DeviceGuard guard(images.get_device_index());
    const Operands call = Operands::of_occlude(images, boxes, fill);
    launch_any(call, boxes, nullptr, 0);
    return call.out;
}

Tensor assemble(const Tensor& base, const Tensor& boxes, const Tensor& patches, const Tensor& windows,
                std::vector<int64_t> size, double pad) {
    checks::assemble(base, boxes, patches, windows, size);
    const torch::stable::accelerator::DeviceGuard guard(base.get_device_index());
    const Operands call = Operands::of_assemble(base, boxes, patches, size);
    const Tensor there = torch::stable::to(windows, base.device());
    launch_any(call, boxes, read<Window>(there), bits_of(pad, base.scalar_type()));
    return call.out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(sam_toolkit, CUDA, library) {
    library.impl("occlude", TORCH_BOX(&occlude));
    library.impl("assemble", TORCH_BOX(&assemble));
}

}  // namespace sam_toolkit
