#pragma once

#include <cstdint>

#include "portable.h"

namespace sam_toolkit {

// A row of `boxes`: rows y0..y1-1 and columns x0..x1-1 of an image; the layout of five int64 in a tensor.
struct Box {
    int64_t image, y0, x0, y1, x1;

    SAM_HOST_DEVICE bool contains(int64_t y, int64_t x) const {
        return y0 <= y && y < y1 && x0 <= x && x < x1;
    }
};
static_assert(sizeof(Box) == 5 * sizeof(int64_t), "a Box overlays one row of the boxes tensor");

// An image as one run of elements [C, H, W], and where in it element i lies.
struct ImageShape {
    int64_t channels, height, width;

    SAM_HOST_DEVICE int64_t plane() const { return height * width; }
    SAM_HOST_DEVICE int64_t elements() const { return channels * plane(); }
    SAM_HOST_DEVICE int64_t channel(int64_t i) const { return i / plane(); }
    SAM_HOST_DEVICE int64_t row(int64_t i) const { return i % plane() / width; }
    SAM_HOST_DEVICE int64_t column(int64_t i) const { return i % width; }
};

// The fill's value for an element: one per channel, or that of a second image at the same place.
template <typename Value>
struct Fill {
    const Value* values;
    bool per_channel;

    SAM_HOST_DEVICE Value at(int64_t channel, int64_t element) const {
        return values[per_channel ? channel : element];
    }
};

}  // namespace sam_toolkit
