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

// What a kernel computes in, and what it may only move or read.
enum class Types { full, half_too };

inline bool admits(Types types, ScalarType type) {
    const bool full = type == ScalarType::Float || type == ScalarType::Double;
    const bool half = type == ScalarType::Half || type == ScalarType::BFloat16;
    return full || (half && types == Types::half_too);
}

inline void floating(const char* op, const char* rule, const Tensor& tensor, int64_t dimensions,
                     Types types = Types::full) {
    const auto type = tensor.scalar_type();
    require(admits(types, type) && tensor.dim() == dimensions, op, rule, "dtype ", static_cast<int>(type),
            " ", shape(tensor));
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

inline bool same_kind(const Tensor& a, const Tensor& b) {
    return a.scalar_type() == b.scalar_type() && a.device() == b.device();
}

inline bool same_shape(const Tensor& a, const Tensor& b) {
    bool same = a.dim() == b.dim();
    for (int64_t axis = 0; same && axis < a.dim(); ++axis) same = a.size(axis) == b.size(axis);
    return same;
}

inline void occlude(const Tensor& images, const Tensor& rows, const Tensor& fill) {
    floating("occlude", "images must be floating-point [N, C, H, W]", images, 4, Types::half_too);
    boxes("occlude", rows, images.size(0), images.size(2), images.size(3));
    const bool colour = fill.dim() == 1 && fill.size(0) == images.size(1);
    require(same_kind(fill, images) && (colour || same_shape(fill, images)), "occlude",
            "fill must be [C] or [N, C, H, W] with the dtype and device of images", shape(fill),
            " for images ", shape(images));
}

inline void assemble(const Tensor& base, const Tensor& rows, const Tensor& patches, const Tensor& windows,
                     const std::vector<int64_t>& size) {
    floating("assemble", "base must be floating-point [N, C, H, W]", base, 4, Types::half_too);
    boxes("assemble", rows, base.size(0), base.size(2), base.size(3));
    table("assemble", "windows must be contiguous int64 [P, 2] on the CPU", windows, 2);
    require(windows.size(0) == rows.size(0), "assemble", "boxes and windows must have a row each",
            rows.size(0), " boxes, ", windows.size(0), " windows");
    require(size.size() == 2 && size[0] >= 0 && size[1] >= 0, "assemble",
            "size must be (height, width), not negative", size.size(), " numbers");
    const bool fits = same_kind(patches, base) && patches.dim() == 4 && patches.size(0) == rows.size(0) &&
                      patches.size(1) == base.size(1);
    require(fits, "assemble", "patches must be [P, C, h, w] with the dtype and device of base",
            shape(patches), " for base ", shape(base), " and ", rows.size(0), " boxes");
    const auto* box = static_cast<const Box*>(rows.const_data_ptr());
    for (int64_t p = 0; p < rows.size(0); ++p)
        require(box[p].y1 - box[p].y0 == patches.size(2) && box[p].x1 - box[p].x0 == patches.size(3),
                "assemble", "each box must be as large as the patches", "boxes[", p, "] for patches ",
                shape(patches));
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

inline void pairs(const char* op, const Tensor& rows, int64_t maps) {
    table(op, "pairs must be contiguous int64 [P, 2] on the CPU", rows, 2);
    const auto* indices = static_cast<const int64_t*>(rows.const_data_ptr());
    for (int64_t i = 0; i < rows.numel(); ++i)
        require(0 <= indices[i] && indices[i] < maps, op, "pairs must index the maps", "pairs[", i / 2,
                "] with ", indices[i], " for ", maps, " maps");
}

inline void ssim(const char* op, const Tensor& maps, const Tensor& pairs, const std::vector<double>& taps,
                 double data_range) {
    const Types types = maps.is_cpu() ? Types::full : Types::half_too;
    floating(op, "maps must be float32 or float64, or on an accelerator any floating-point, [B, K, H, W]",
             maps, 4, types);
    checks::pairs(op, pairs, maps.size(1));
    const auto window = static_cast<int64_t>(taps.size());
    require(window >= 3 && window % 2 == 1, op, "the window must be odd and at least 3", window);
    require(window <= maps.size(2) && window <= maps.size(3), op, "the window must fit into the map", window,
            " for maps ", shape(maps));
    require(std::isfinite(data_range) && data_range > 0, op, "data_range must be positive and finite",
            data_range);
}

// `gradient` is of the means [B, P], or of the maps of similarity [B, P, H', W'].
inline void ssim_backward(const Tensor& gradient, const Tensor& maps, const Tensor& pairs,
                          const std::vector<double>& taps, double data_range) {
    ssim("ssim_backward", maps, pairs, taps, data_range);
    const auto window = static_cast<int64_t>(taps.size());
    bool fits = gradient.device() == maps.device() && (gradient.dim() == 2 || gradient.dim() == 4) &&
                gradient.size(0) == maps.size(0) && gradient.size(1) == pairs.size(0);
    if (fits && gradient.dim() == 4)
        fits = gradient.size(2) == maps.size(2) - window + 1 && gradient.size(3) == maps.size(3) - window + 1;
    const auto expected = maps.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
    require(fits && gradient.scalar_type() == expected, "ssim_backward",
            "gradient must be [B, P] or [B, P, H', W'], float64 for float64 maps and else float32",
            shape(gradient), " for maps ", shape(maps), " and ", pairs.size(0), " pairs");
}

// Maps as rows of pixels, which 32 bits must be able to number.
inline void ranked(const char* op, const Tensor& maps, int64_t dimensions) {
    floating(op, "maps must be float32 or float64 [..., n]", maps, dimensions);
    require(maps.size(dimensions - 1) < INT32_MAX, op, "a map must have fewer than 2^31 - 1 pixels",
            shape(maps));
}

inline void kendall(const Tensor& maps, const Tensor& rows) {
    ranked("kendall", maps, 3);
    pairs("kendall", rows, maps.size(1));
}

// `places` are pixels of a map of height x width, each in a row of its own; with `empty`, -1 stands for none.
inline void places(const char* op, const char* rule, const Tensor& places, int64_t pixels, bool empty) {
    require(places.scalar_type() == ScalarType::Int && places.dim() >= 1 && places.is_cpu() &&
                places.is_contiguous(),
            op, rule, "dtype ", static_cast<int>(places.scalar_type()), " ", shape(places));
    const auto* values = static_cast<const int32_t*>(places.const_data_ptr());
    for (int64_t i = 0; i < places.numel(); ++i)
        require((empty ? -1 : 0) <= values[i] && values[i] < pixels, op, rule, values[i], " for ", pixels,
                " pixels");
}

inline void window(const char* op, int64_t height, int64_t width, int64_t window) {
    require(height >= 1 && width >= 1 && height <= INT32_MAX / width, op,
            "a map must have a pixel, and fewer than 2^31", height, " x ", width);
    require(window >= 0, op, "the window must reach 0 pixels or more", window);
}

inline void diverse_picks(const Tensor& order, int64_t height, int64_t width, int64_t reach, int64_t count) {
    window("diverse_picks", height, width, reach);
    require(order.dim() == 2, "diverse_picks", "order must be int32 [B, m]", shape(order));
    places("diverse_picks", "order must be contiguous int32 and hold pixels of the map", order,
           height * width, false);
    require(count >= 0, "diverse_picks", "count must not be negative", count);
}

inline void reach(const Tensor& picks, int64_t height, int64_t width, int64_t reach) {
    window("reach", height, width, reach);
    require(picks.dim() == 2, "reach", "picks must be int32 [B, m]", shape(picks));
    places("reach", "picks must be contiguous int32 and hold pixels of the map, or -1", picks, height * width,
           true);
}

inline void overlaps(const Tensor& reach, const Tensor& picks, const Tensor& rows,
                     const std::vector<int64_t>& counts) {
    const bool fits = reach.dim() == 3 && picks.dim() == 3 && reach.size(0) == picks.size(0) &&
                      reach.size(1) == picks.size(1) && reach.scalar_type() == ScalarType::Int &&
                      reach.is_cpu() && reach.is_contiguous();
    require(fits, "overlaps", "reach and picks must be contiguous int32 [B, K, n] and [B, K, m]",
            shape(reach), " and ", shape(picks));
    places("overlaps", "picks must be contiguous int32 and hold pixels of the map, or -1", picks,
           reach.size(2), true);
    pairs("overlaps", rows, reach.size(1));
    for (const int64_t count : counts)
        require(0 <= count && count <= picks.size(2), "overlaps", "counts must be within the picks", count,
                " of ", picks.size(2));
}

}  // namespace sam_toolkit::checks
