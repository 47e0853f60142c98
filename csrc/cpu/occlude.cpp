#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <algorithm>

#include "../checks.h"
#include "../geometry.h"
#include "../tensors.h"

namespace sam_toolkit {
namespace {

using torch::stable::Tensor;

// Values enough for a thread to be worth waking.
constexpr int64_t kValuesPerTask = 1 << 15;

// Channel c of one occluded image. The rows above and below the box are one copy each; a row through it is
// three pieces. Every value is written once. `source` is where the channel starts in `images`.
template <typename Value>
void occlude_channel(const Value* images, int64_t source, const Box& box, const Fill<Value>& fill, int64_t c,
                     const ImageShape& shape, Value* out) {
    const auto keep = [&](int64_t begin, int64_t end) {
        std::copy(images + source + begin, images + source + end, out + begin);
    };
    keep(0, box.y0 * shape.width);
    for (int64_t row = box.y0 * shape.width; row < box.y1 * shape.width; row += shape.width) {
        keep(row, row + box.x0);
        for (int64_t i = row + box.x0; i < row + box.x1; ++i) out[i] = fill.at(c, source + i);
        keep(row + box.x1, row + shape.width);
    }
    keep(box.y1 * shape.width, shape.plane());
}

template <typename Value>
void occlude_all(const Tensor& images, const Tensor& boxes, const Tensor& filling, const Tensor& out) {
    const ImageShape shape{images.size(1), images.size(2), images.size(3)};
    const Fill<Value> fill{read<Value>(filling), filling.dim() == 1};
    const auto* from = read<Value>(images);
    const auto* box = read<Box>(boxes);
    auto* to = write<Value>(out);
    const int64_t grain = std::max<int64_t>(1, kValuesPerTask / std::max<int64_t>(1, shape.plane()));
    torch::stable::parallel_for(0, boxes.size(0) * shape.channels, grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const Box& own = box[i / shape.channels];
            const int64_t c = i % shape.channels;
            const int64_t source = (own.image * shape.channels + c) * shape.plane();
            occlude_channel(from, source, own, fill, c, shape, to + i * shape.plane());
        }
    });
}

Tensor occlude(const Tensor& images, const Tensor& boxes, const Tensor& fill) {
    checks::occlude(images, boxes, fill);
    Tensor out =
        torch::stable::new_empty(images, {boxes.size(0), images.size(1), images.size(2), images.size(3)});
    const Tensor from = torch::stable::contiguous(images), filling = torch::stable::contiguous(fill);
    with_value_type(images, [&]<typename Value>() { occlude_all<Value>(from, boxes, filling, out); });
    return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(sam_toolkit, CPU, library) {
    library.impl("occlude", TORCH_BOX(&occlude));
}

}  // namespace sam_toolkit
