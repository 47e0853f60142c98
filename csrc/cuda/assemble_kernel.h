#pragma once

#include <cuda_runtime_api.h>

#include "../geometry.h"

namespace sam_toolkit {

// Enqueues what `work` asks for; its pointers are the device's, and what lies outside images is `pad`.
template <typename Word>
cudaError_t launch_assemble(const Assembly<Word>& work, Word pad, cudaStream_t stream);

}  // namespace sam_toolkit
