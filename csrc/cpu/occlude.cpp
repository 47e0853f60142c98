#include <torch/csrc/stable/library.h>

#include "../checks.h"
#include "assemble.h"

namespace sam_toolkit {
namespace {

using torch::stable::Tensor;

Tensor occlude(const Tensor& images, const Tensor& boxes, const Tensor& fill) {
    checks::occlude(images, boxes, fill);
    const Operands call = Operands::of_occlude(images, boxes, fill);
    const std::byte none{};  // windows that show whole images need no pad
    assemble_all(call.assembly<std::byte>(read<Box>(boxes), nullptr), &none, 1);
    return call.out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(sam_toolkit, CPU, library) {
    library.impl("occlude", TORCH_BOX(&occlude));
}

}  // namespace sam_toolkit
