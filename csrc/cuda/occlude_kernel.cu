#include <algorithm>

#include "occlude_kernel.h"

namespace sam_toolkit {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocksY = 65535;

// blockIdx.y is the occluded image, blockIdx.x runs over its elements; both stride, so any size fits the
// grid.
template <typename Value>
__global__ void occlude_kernel(const Value* __restrict__ images, const Box* __restrict__ boxes,
                               Fill<Value> fill, ImageShape shape, int64_t count, Value* __restrict__ out) {
    const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
    for (int64_t p = blockIdx.y; p < count; p += gridDim.y) {
        const Box box = boxes[p];
        const int64_t source = box.image * shape.elements();
        const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
        for (int64_t i = first; i < shape.elements(); i += step) {
            const bool hidden = box.contains(shape.row(i), shape.column(i));
            const Value value = hidden ? fill.at(shape.channel(i), source + i) : images[source + i];
            out[p * shape.elements() + i] = value;
        }
    }
}

}  // namespace

template <typename Value>
cudaError_t launch_occlude(const Value* images, const Box* boxes, Fill<Value> fill, ImageShape shape,
                           int64_t count, Value* out, cudaStream_t stream) {
    const int64_t blocks = (shape.elements() + kThreads - 1) / kThreads;
    const dim3 grid(static_cast<unsigned>(std::min<int64_t>(blocks, 1 << 20)),
                    static_cast<unsigned>(std::min(count, kMaxBlocksY)));
    occlude_kernel<<<grid, kThreads, 0, stream>>>(images, boxes, fill, shape, count, out);
    return cudaGetLastError();
}

template cudaError_t launch_occlude(const float*, const Box*, Fill<float>, ImageShape, int64_t, float*,
                                    cudaStream_t);
template cudaError_t launch_occlude(const double*, const Box*, Fill<double>, ImageShape, int64_t, double*,
                                    cudaStream_t);

}  // namespace sam_toolkit
