#pragma once

#include <cuda_runtime_api.h>

#include "../geometry.h"

namespace sam_toolkit {

// Enqueues the copy of images[boxes[p].image] into out[p], its box filled; all pointers are the device's.
template <typename Value>
cudaError_t launch_occlude(const Value* images,  // [N, C, H, W]
                           const Box* boxes,     // [P]
                           Fill<Value> fill,     // [C] or [N, C, H, W]
                           ImageShape shape, int64_t count, Value* out, cudaStream_t stream);

}  // namespace sam_toolkit
