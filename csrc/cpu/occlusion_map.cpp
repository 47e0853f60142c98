#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "../checks.h"
#include "../geometry.h"
#include "../occlusion_sums.h"
#include "../tensors.h"

namespace sam_toolkit {
namespace {

using torch::stable::Tensor;

// A box as four corner differences in a grid with one row and column more than the image: their prefix sums
// are the totals per pixel, so a box costs the same whatever its area.
class BoxTotals {
  public:
    BoxTotals(int64_t height, int64_t width)
        : height_(height), width_(width), grid_((height + 1) * (width + 1), 0) {}

    void add(const Box& box, uint64_t value) {
        at(box.y0, box.x0) += value;
        at(box.y0, box.x1) -= value;
        at(box.y1, box.x0) -= value;
        at(box.y1, box.x1) += value;
    }

    void accumulate() {
        for (int64_t y = 0; y < height_; ++y)
            for (int64_t x = 1; x < width_; ++x) at(y, x) += at(y, x - 1);
        for (int64_t y = 1; y < height_; ++y)
            for (int64_t x = 0; x < width_; ++x) at(y, x) += at(y - 1, x);
    }

    uint64_t& at(int64_t y, int64_t x) { return grid_[y * (width_ + 1) + x]; }

  private:
    int64_t height_, width_;
    std::vector<uint64_t> grid_;
};

std::vector<std::vector<int64_t>> rows_by_image(const Box* boxes, int64_t count, int64_t images) {
    std::vector<std::vector<int64_t>> rows(images);
    for (int64_t p = 0; p < count; ++p) rows[boxes[p].image].push_back(p);
    return rows;
}

template <typename Value>
Multiples multiples_of(const Value* scores, const std::vector<int64_t>& rows) {
    double largest = 0;
    for (const int64_t p : rows) largest = std::max(largest, std::abs(static_cast<double>(scores[p])));
    return {largest, static_cast<int64_t>(rows.size())};
}

// The mean over each pixel of one image's scores.
template <typename Value>
void mean_over_boxes(const Value* scores, const Box* boxes, const std::vector<int64_t>& rows, int64_t height,
                     int64_t width, Value* out) {
    const Multiples multiples = multiples_of(scores, rows);
    BoxTotals totals(height, width), covers(height, width);
    for (const int64_t p : rows) {
        totals.add(boxes[p], multiples.of(scores[p]));
        covers.add(boxes[p], 1);
    }
    totals.accumulate();
    covers.accumulate();
    for (int64_t y = 0; y < height; ++y)
        for (int64_t x = 0; x < width; ++x)
            out[y * width + x] = static_cast<Value>(multiples.mean(totals.at(y, x), covers.at(y, x)));
}

Tensor occlusion_map(const Tensor& scores, const Tensor& boxes, int64_t images, int64_t height,
                     int64_t width) {
    checks::occlusion_map(scores, boxes, images, height, width);
    Tensor out = torch::stable::new_empty(scores, {images, height, width});
    const Tensor values = torch::stable::contiguous(scores);
    const auto rows = rows_by_image(read<Box>(boxes), boxes.size(0), images);
    with_value_type(scores, [&]<typename Value>() {
        const auto* from = read<Value>(values);
        const auto* box = read<Box>(boxes);
        auto* to = write<Value>(out);
        torch::stable::parallel_for(0, images, 1, [&](int64_t begin, int64_t end) {
            for (int64_t image = begin; image < end; ++image)
                mean_over_boxes(from, box, rows[image], height, width, to + image * height * width);
        });
    });
    return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(sam_toolkit, CPU, library) {
    library.impl("occlusion_map", TORCH_BOX(&occlusion_map));
}

}  // namespace sam_toolkit
