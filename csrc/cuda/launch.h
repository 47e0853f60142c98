#pragma once

// What a kernel file needs of CUDA beyond its built-in names: how a kernel is launched, and how a block
// shares memory. tests/cuda_on_cpu compiles the same files for the CPU with definitions of its own.
#ifdef __CUDACC__
#include <cuda_runtime.h>

#define SAM_LAUNCH(kernel, grid, block, stream, ...) (kernel)<<<grid, block, 0, stream>>>(__VA_ARGS__)

// SAM_SHARED(float, tile, [5][32]) declares `tile`, one for each block.
#define SAM_SHARED(type, name, extents) __shared__ type name extents
#else
#include "cuda_on_cpu.h"
#endif

#include <algorithm>
#include <cstdint>

namespace sam_toolkit {

// A grid's extent along its second or third axis, of which CUDA has no more; kernels stride over the rest.
inline unsigned blocks_of(int64_t count) {
    return static_cast<unsigned>(std::min<int64_t>(count, 65535));
}

}  // namespace sam_toolkit
