#pragma once

#include <cuda_runtime_api.h>
#include <torch/csrc/stable/macros.h>
#include <torch/csrc/stable/tensor.h>

namespace sam_toolkit {

// PyTorch's present stream on the device of a tensor.
inline cudaStream_t stream_of(const torch::stable::Tensor& tensor) {
    void* stream = nullptr;
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(tensor.get_device_index(), &stream));
    return static_cast<cudaStream_t>(stream);
}

}  // namespace sam_toolkit
