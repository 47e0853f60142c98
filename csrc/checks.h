#pragma once

#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <cmath>
#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "geometry.h"

// Every backend calls these first: an operator reached past its Python wrapper must not read outside a
// tensor.
namespace sam_toolkit::checks {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

template <typename... Got>
void require(bool holds, const char* op, const char* rule, const Got&... got) {
    if (holds) return;
    std::ostringstream message;
    message << "sam_toolkit::" << op << ": " << rule << "; got ";
    (message << ... << got) << '.';
    throw std::runtime_error(message.str());
}

inline std::string shape(const Tensor& tensor) {
    std::ostringstream text;
    for (int64_t axis = 0; axis < tensor.dim(); ++axis) text << (axis ? ", " : "[") << tensor.size(axis);
    text << (tensor.dim() ? "]" : "[]");
    return text.str();
}

inline void floating(const char* op, const char* rule, const Tensor& tensor, int64_t dimensions) {
    const auto type = tensor.scalar_type();
    const bool known = type == ScalarType::Float || type == ScalarType::Double;
    require(known && tensor.dim() == dimensions, op, rule, "dtype ", static_cast<int>(type), " ",
            shape(tensor));
}

inline void table(const char* op, const char* rule, const Tensor& rows, int64_t columns) {
    const bool fits = rows.dim() == 2 && rows.size(1) == columns && rows.scalar_type() == ScalarType::Long;
    require(fits && rows.is_cpu() && rows.is_contiguous(), op, rule, shape(rows));
}

inline void boxes(const char* op, const Tensor& rows, int64_t images, int64_t height, int64_t width) {
    table(op, "boxes must be contiguous int64 [P, 5] on the CPU", rows, 5);
    const auto* values = static_cast<const Box*>(rows.const_data_ptr());
    for (int64_t p = 0; p < rows.size(0); ++p) {
        const Box& box = values[p];
        const bool inside = 0 <= box.image && box.image < images && 0 <= box.y0 && box.y0 < box.y1 &&
                            box.y1 <= height && 0 <= box.x0 && box.x0 < box.x1 && box.x1 <= width;
        require(inside, op, "each box (image, y0, x0, y1, x1) must be non-empty and inside its image",
                "boxes[", p, "] = (", box.image, ", ", box.y0, ", ", box.x0, ", ", box.y1, ", ", box.x1,
                ") for ", images, " images of ", height, " x ", width);
    }
}

inline void occlude(const Tensor& images, const Tensor& rows, const Tensor& fill) {
    floating("occlude", "images must be float32 or float64 [N, C, H, W]", images, 4);
    boxes("occlude", rows, images.size(0), images.size(2), images.size(3));
    const bool same = fill.scalar_type() == images.scalar_type() && fill.device() == images.device();
    const bool colour = fill.dim() == 1 && fill.size(0) == images.size(1);
    bool second_image = fill.dim() == 4;
    for (int64_t axis = 0; second_image && axis < 4; ++axis)
        second_image = fill.size(axis) == images.size(axis);
    require(same && (colour || second_image), "occlude",
            "fill must be [C] or [N, C, H, W] with the dtype and device of images", shape(fill),
            " for images ", shape(images));
}

inline void occlusion_map(const Tensor& scores, const Tensor& rows, int64_t images, int64_t height,
                          int64_t width) {
    floating("occlusion_map", "scores must be float32 or float64 [P]", scores, 1);
    require(images >= 0 && height >= 0 && width >= 0, "occlusion_map", "the size must not be negative",
            images, ", ", height, ", ", width);
    boxes("occlusion_map", rows, images, height, width);
    require(scores.size(0) == rows.size(0), "occlusion_map",
            "scores and boxes must have one row each per box", scores.size(0), " scores, ", rows.size(0),
            " boxes");
}

inline void ssim(const Tensor& maps, const Tensor& pairs, const std::vector<double>& taps,
                 double data_range) {
    floating("ssim", "maps must be float32 or float64 [B, K, H, W]", maps, 4);
    table("ssim", "pairs must be contiguous int64 [P, 2] on the CPU", pairs, 2);
    const auto* indices = static_cast<const int64_t*>(pairs.const_data_ptr());
    for (int64_t i = 0; i < pairs.numel(); ++i)
        require(0 <= indices[i] && indices[i] < maps.size(1), "ssim", "pairs must index the maps", "pairs[",
                i / 2, "] with ", indices[i], " for ", maps.size(1), " maps");
    const auto window = static_cast<int64_t>(taps.size());
    require(window >= 3 && window % 2 == 1, "ssim", "the window must be odd and at least 3", window);
    require(window <= maps.size(2) && window <= maps.size(3), "ssim", "the window must fit into the map",
            window, " for maps ", shape(maps));
    require(std::isfinite(data_range) && data_range > 0, "ssim", "data_range must be positive and finite",
            data_range);
}

}  // namespace sam_toolkit::checks
