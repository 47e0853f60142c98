#pragma once

#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

namespace sam_toolkit {

// Calls `body.template operator()<float or double>()`, whichever `tensor` holds; `checks` admit no other.
template <typename Body>
void with_value_type(const torch::stable::Tensor& tensor, const Body& body) {
    if (tensor.scalar_type() == torch::headeronly::ScalarType::Float)
        body.template operator()<float>();
    else
        body.template operator()<double>();
}

template <typename Value>
const Value* read(const torch::stable::Tensor& tensor) {
    return static_cast<const Value*>(tensor.const_data_ptr());
}

template <typename Value>
Value* write(const torch::stable::Tensor& tensor) {
    return static_cast<Value*>(tensor.mutable_data_ptr());
}

}  // namespace sam_toolkit
