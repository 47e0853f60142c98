#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "../geometry.h"

namespace sam_toolkit {

// `occlusion_map`, with pointers of the device: out[i] is the mean of the scores of the boxes over each pixel
// of image i.
template <typename Value>
struct OcclusionMaps {
    const Value* scores;
    int64_t step;  // from a score to the next
    const Box* boxes;
    int64_t count;
    int64_t images, height, width;
    Value* out;
};

// Of one image: the bits of its largest absolute score as a double, which are ordered as the scores are, and
// how many boxes it has.
struct Extent {
    unsigned long long largest, count;
};

// What changes at a pixel from the ones before it in its tile: the total of multiples, and the boxes over it.
struct alignas(16) Cell {
    unsigned long long total, covering;
};

// Enqueues `work`. What `extents` [images] and `cells` [images, height, width] hold before does not matter.
template <typename Value>
cudaError_t launch_occlusion_map(const OcclusionMaps<Value>& work, Extent* extents, Cell* cells,
                                 cudaStream_t stream);

}  // namespace sam_toolkit
