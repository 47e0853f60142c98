#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

// What the kernels of SSIM work on: maps laid out for vectors, and the constants of the formula.
namespace sam_toolkit::ssim {

// The weights along one side of the window; a uniform one sums with ones, and the values are scaled instead.
struct Window {
    int64_t size;
    bool uniform;
    const double* taps;
};

// Windows that are done at once: rows from `top` and columns from `left` on, ends exclusive.
struct Block {
    int64_t top, bottom, left, right;

    int64_t rows() const { return bottom - top; }
    int64_t columns() const { return right - left; }
};

// Measured: longer rows come no faster from the outer caches, and so few of them leave room in the inner one.
constexpr int64_t kBlockRows = 16, kBlockColumns = 512;

// Maps are worked on block by block, each as large as all but the last; what was computed of a map for one
// block gives way to that for the next. Its rows have `stride` elements, whole vectors; an odd number of them
// keeps rows of a column from meeting in the cache. Reading ahead goes into the next row, and past the last
// one by no more than `margin`.
struct Layout {
    int64_t pixels, width, rows, columns, stride, values, windows, margin;

    static Layout of(int64_t height, int64_t width, int64_t window) {
        const int64_t rows = height - window + 1, columns = width - window + 1;
        const int64_t widest = std::min(columns, kBlockColumns) + window - 1;
        const int64_t vectors = (widest + 15) / 16, stride = (vectors + 1 - vectors % 2) * 16;
        const int64_t tallest = std::min(rows, kBlockRows);
        return {height * width,   width,      rows, columns, stride, (tallest + window - 1) * stride,
                tallest * stride, window + 64};
    }
};

inline std::vector<Block> blocks(const Layout& layout) {
    std::vector<Block> result;
    for (int64_t top = 0; top < layout.rows; top += kBlockRows)
        for (int64_t left = 0; left < layout.columns; left += kBlockColumns)
            result.push_back({top, std::min(top + kBlockRows, layout.rows), left,
                              std::min(left + kBlockColumns, layout.columns)});
    return result;
}

// Memory for `count` values, not set to anything, aligned for vectors; where it is large, in huge pages if
// the system gives them, since touching it for the first time costs more than the work on it otherwise.
template <typename Value>
class Aligned {
  public:
    explicit Aligned(int64_t count) {
        const auto bytes = static_cast<size_t>(count) * sizeof(Value) + 64;
        const bool large = bytes >= 2 * kHugePage;
        const size_t alignment = large ? kHugePage : 64,
                     whole = (bytes + alignment - 1) / alignment * alignment;
        values_.reset(static_cast<Value*>(std::aligned_alloc(alignment, whole)));
        if (!values_) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
        if (large) madvise(values_.get(), whole, MADV_HUGEPAGE);
#endif
    }

    Value& operator[](int64_t i) const { return values_.get()[i]; }
    Value* data() const { return values_.get(); }

  private:
    static constexpr size_t kHugePage = size_t{2} << 20;
    struct Free {
        void operator()(Value* values) const { std::free(values); }
    };
    std::unique_ptr<Value, Free> values_;
};

// SSIM of maps divided by the data range, from values that were scaled so that a window's sum of products,
// less the product of the means, is twice the covariance.
struct Problem {
    Layout layout;
    Window window;
    double data_range, c1, c2, value_scale, mean_scale, to_mean;

    static Problem of(const Layout& layout, const Window& window, double data_range, bool sample_covariance) {
        const auto pixels = static_cast<double>(window.size * window.size);
        const double twice = std::sqrt(2 * (sample_covariance ? pixels / (pixels - 1) : 1.0));
        const double side = window.uniform ? static_cast<double>(window.size) : 1.0;
        return {layout,   window,   data_range, 0.01 * 0.01, 0.03 * 0.03, twice / side / data_range,
                1 / side, 1 / twice};
    }
};

// A block of one map: values without the map's own mean; scaled means, luminances and contrasts of its
// windows. Beyond the columns contrasts are infinite: such windows add nothing.
template <typename Real>
struct Planes {
    double* values;
    double* means;
    Real* luminances;
    Real* contrasts;
};

// A thread's own memory: sums of products [kBlockRows, stride], products of a strip, and a row of the result.
struct Scratch {
    explicit Scratch(const Problem& problem)
        : sums(count(problem)),
          products((kBlockRows + problem.window.size) * 8),
          row(problem.layout.stride),
          count_(count(problem)) {}

    // Before another block: lanes beyond its columns would keep what a wider one has left, such as a NaN.
    void clear() { std::fill(sums.data(), sums.data() + count_, 0.0); }

    static int64_t count(const Problem& problem) {
        return kBlockRows * problem.layout.stride + problem.layout.margin;
    }

    Aligned<double> sums, products, row;

  private:
    int64_t count_;
};

// Mean and largest absolute value of a map.
struct Survey {
    double mean, largest;
};

// The kernels of one instruction set, for maps of Value and planes of Real.
template <typename Real, typename Value>
struct Level {
    Survey (*survey)(const Value* map, int64_t pixels);
    void (*prepare)(const Problem&, const Value* map, const Survey&, const Block&, Scratch&,
                    const Planes<Real>&);
    double (*compare)(const Problem&, const Planes<Real>&, const Planes<Real>&, const Block&, Scratch&,
                      Value* out);
};

// The best that this processor has, or the one that SAM_TOOLKIT_CPU names: avx512, avx2 or plain.
template <typename Real, typename Value>
const Level<Real, Value>& level();

}  // namespace sam_toolkit::ssim
