#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "../checks.h"
#include "../ssim_math.h"
#include "../tensors.h"
#include "rows.h"
#include "window_filter.h"

// SSIM of many pairs among few maps. The means and variances of a map are computed once; a pair costs one
// pass for the products. All arithmetic is in double, whatever the maps hold, and each map's own mean is
// taken off as it is read: an offset costs no digits, and nothing that a pair needs is copied for it.
namespace sam_toolkit {
namespace {

using torch::stable::Tensor;

// A batch whose statistics would take more memory than this is done in blocks.
constexpr int64_t kWorkspaceBytes = int64_t{256} << 20;

struct Problem {
    int64_t height, width;
    std::vector<double> taps;
    SsimFormula formula;

    int64_t window() const { return static_cast<int64_t>(taps.size()); }
    int64_t pixels() const { return height * width; }
    int64_t rows() const { return height - window() + 1; }
    int64_t columns() const { return width - window() + 1; }
    int64_t windows() const { return rows() * columns(); }
};

// The window moments of one map, [rows, columns] each.
struct Statistics {
    double offset = 0;
    std::vector<double> shifted_means, variances;

    rows::Moments row(int64_t start) const { return {offset, &shifted_means[start], &variances[start]}; }
};

template <typename Value>
Statistics statistics(const Value* map, const Problem& problem) {
    const auto size = static_cast<size_t>(problem.windows());
    Statistics result{
        std::accumulate(map, map + problem.pixels(), 0.0) / static_cast<double>(problem.pixels()),
        std::vector<double>(size), std::vector<double>(size)};
    WindowFilter values(problem.taps, problem.width), squares(problem.taps, problem.width);
    for (int64_t y = 0; y < problem.height; ++y) {
        const Value* row = map + y * problem.width;
        for (int64_t x = 0; x < problem.width; ++x) values.next()[x] = row[x] - result.offset;
        rows::multiply(row, result.offset, row, result.offset, problem.width, squares.next());
        values.push();
        if (!squares.push()) continue;
        const int64_t start = (y + 1 - problem.window()) * problem.columns();
        values.write(&result.shifted_means[start]);
        squares.write(&result.variances[start]);
    }
    for (size_t i = 0; i < size; ++i) {
        const double mean = result.shifted_means[i];
        result.variances[i] = std::max(0.0, problem.formula.covariance(result.variances[i], mean, mean));
    }
    return result;
}

template <typename Value>
double similarity(const Value* a, const Statistics& of_a, const Value* b, const Statistics& of_b,
                  const Problem& problem) {
    WindowFilter products(problem.taps, problem.width);
    std::vector<double> means(problem.columns()), column_sums(problem.columns(), 0.0);
    for (int64_t y = 0; y < problem.height; ++y) {
        const int64_t row = y * problem.width;
        rows::multiply(a + row, of_a.offset, b + row, of_b.offset, problem.width, products.next());
        if (!products.push()) continue;
        products.write(means.data());
        const int64_t start = (y + 1 - problem.window()) * problem.columns();
        rows::add_similarity(of_a.row(start), of_b.row(start), means.data(), problem.formula,
                             problem.columns(), column_sums.data());
    }
    const double total = std::accumulate(column_sums.begin(), column_sums.end(), 0.0);
    return total / static_cast<double>(problem.windows());
}

// `maps` [count, height, width] are compared within each image's `per_image` of them; out [images, pairs].
template <typename Value>
void compare_block(const Value* maps, int64_t images, int64_t per_image, const Tensor& pairs,
                   const Problem& problem, Value* out) {
    std::vector<Statistics> known(images * per_image);
    torch::stable::parallel_for(0, images * per_image, 1, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) known[k] = statistics(maps + k * problem.pixels(), problem);
    });
    const int64_t count = pairs.size(0);
    const auto* pair = read<int64_t>(pairs);
    torch::stable::parallel_for(0, images * count, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t first = i / count * per_image, p = i % count;
            const int64_t a = first + pair[2 * p], b = first + pair[2 * p + 1];
            out[i] = static_cast<Value>(similarity(maps + a * problem.pixels(), known[a],
                                                   maps + b * problem.pixels(), known[b], problem));
        }
    });
}

Tensor ssim(const Tensor& maps, const Tensor& pairs, std::vector<double> taps, double data_range,
            bool sample_covariance) {
    checks::ssim(maps, pairs, taps, data_range);
    const int64_t images = maps.size(0), per_image = maps.size(1), count = pairs.size(0);
    const auto formula = SsimFormula::of(data_range, static_cast<int>(taps.size()), sample_covariance);
    const Problem problem{maps.size(2), maps.size(3), std::move(taps), formula};
    const int64_t image_bytes = 2 * sizeof(double) * problem.windows() * std::max<int64_t>(1, per_image);
    const int64_t block = std::max<int64_t>(1, kWorkspaceBytes / image_bytes);
    const Tensor from = torch::stable::contiguous(maps);
    Tensor out = torch::stable::new_empty(maps, {images, count});
    with_value_type(maps, [&]<typename Value>() {
        for (int64_t first = 0; first < images; first += block)
            compare_block(read<Value>(from) + first * per_image * problem.pixels(),
                          std::min(block, images - first), per_image, pairs, problem,
                          write<Value>(out) + first * count);
    });
    return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(sam_toolkit, CPU, library) {
    library.impl("ssim", TORCH_BOX(&ssim));
}

}  // namespace sam_toolkit
