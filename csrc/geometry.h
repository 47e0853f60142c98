#pragma once

#include <cstdint>

#include "portable.h"

namespace sam_toolkit {

// A row of `boxes`: rows y0..y1-1 and columns x0..x1-1 of an image; the layout of five int64 in a tensor.
struct Box {
    int64_t image, y0, x0, y1, x1;

    SAM_HOST_DEVICE bool has_row(int64_t y) const { return y0 <= y && y < y1; }
};
static_assert(sizeof(Box) == 5 * sizeof(int64_t), "a Box overlays one row of the boxes tensor");

// A row of `windows`: which pixel of an image comes first, and it may lie outside.
struct Window {
    int64_t y, x;
};
static_assert(sizeof(Window) == 2 * sizeof(int64_t), "a Window overlays one row of the windows tensor");

SAM_HOST_DEVICE inline int64_t clamped(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

// Images in memory: planes of rows of units. A unit is a pixel's value in its channel's plane, or, with
// channels last, a pixel's values in the one plane. It is measured in words, which kernels move and do not
// look into.
struct Grid {
    int64_t planes, height, width, unit;

    SAM_HOST_DEVICE int64_t row() const { return width * unit; }
    SAM_HOST_DEVICE int64_t plane() const { return height * row(); }
    SAM_HOST_DEVICE int64_t image() const { return planes * plane(); }
};

// What boxes hold: a patch for each window, or a part of a second image, or a colour. Steps are in words.
template <typename Word>
struct Content {
    const Word* words;
    int64_t window;  // from the patch of a window to the next
    int64_t image;   // from the second image of an image to the next
    int64_t plane, row;
    int64_t period;  // after which a row of a colour repeats itself; 0: it does not
    bool in_place;   // whether a box shows what lies where it lies, or else what begins at its corner

    static Content patches(const Word* words, const Grid& grid) {
        return {words, grid.image(), 0, grid.plane(), grid.row(), 0, false};
    }
    static Content second_images(const Word* words, const Grid& grid) {
        return {words, 0, grid.image(), grid.plane(), grid.row(), 0, true};
    }
    static Content colour(const Word* words, const Grid& grid) {
        return {words, 0, 0, grid.planes > 1 ? grid.unit : 0, 0, grid.unit, false};
    }

    // Where, in its first plane, the content of a window's box begins.
    SAM_HOST_DEVICE const Word* corner(int64_t p, const Box& box, int64_t unit) const {
        const int64_t place = in_place ? box.y0 * row + box.x0 * unit : 0;
        return words + p * window + box.image * image + place;
    }
};

// `assemble`, and `occlude`, whose windows show whole images: for p < count, out[p] is what a window of
// shown.height x shown.width shows of image boxes[p].image, the box replaced by its content.
template <typename Word>
struct Assembly {
    const Word* base;
    Grid image;
    Content<Word> content;
    const Box* boxes;
    const Window* windows;  // null: they begin with their images
    int64_t count;
    Grid shown;
    Word* out;

    // A window far outside shows as little as one beside the image, where sums of coordinates cannot
    // overflow.
    SAM_HOST_DEVICE Window window(int64_t p) const {
        if (windows == nullptr) return {0, 0};
        return {clamped(windows[p].y, -shown.height, image.height),
                clamped(windows[p].x, -shown.width, image.width)};
    }
};

}  // namespace sam_toolkit
