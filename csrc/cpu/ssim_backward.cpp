#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "../checks.h"
#include "../tensors.h"
#include "window_filter.h"

// The gradient of SSIM. A window's SSIM depends on a map through the window's mean, its variance and the
// covariance with the other map; each of the three is a weighted sum over the window, so that the gradient at
// a pixel is the sum over the windows that hold it: three fields, filtered by the window turned round. Maps
// are read without their own mean.
namespace sam_toolkit {
namespace {

using torch::stable::Tensor;

// The constants of Wang et al. (2004), and the sample covariance as scikit-image has it.
struct SsimFormula {
    double luminance_constant, contrast_constant, covariance_scale;

    static SsimFormula of(double data_range, int taps, bool sample_covariance) {
        const double luminance = 0.01 * data_range, contrast = 0.03 * data_range;
        const double pixels = static_cast<double>(taps) * taps;
        return {luminance * luminance, contrast * contrast, sample_covariance ? pixels / (pixels - 1) : 1.0};
    }

    // Variance, or covariance, from the window's mean of products and the two shifted means.
    double covariance(double mean_product, double first_mean, double second_mean) const {
        return covariance_scale * (mean_product - first_mean * second_mean);
    }
};

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

// A map without its mean, `offset`.
struct Shifted {
    double offset;
    std::vector<double> values;
};

template <typename Value>
Shifted shifted(const Value* map, int64_t pixels) {
    Shifted result{std::accumulate(map, map + pixels, 0.0) / static_cast<double>(pixels),
                   std::vector<double>(pixels)};
    std::transform(map, map + pixels, result.values.begin(),
                   [&](Value value) { return value - result.offset; });
    return result;
}

// The weighted means of a * b over all windows; of a alone where b is null.
std::vector<double> window_means(const std::vector<double>& a, const std::vector<double>* b,
                                 const Problem& problem) {
    std::vector<double> result(problem.windows());
    WindowFilter filter(problem.taps, problem.width);
    double* out = result.data();
    for (int64_t start = 0; start < problem.pixels(); start += problem.width) {
        if (b == nullptr)
            std::copy_n(&a[start], problem.width, filter.next());
        else
            rows::multiply(&a[start], &(*b)[start], problem.width, filter.next());
        if (!filter.push()) continue;
        filter.write(out);
        out += problem.columns();
    }
    return result;
}

// Adds to each pixel of `out`, times `factor` unless that is null, the field at the windows that hold it.
void spread(const std::vector<double>& field, const std::vector<double>* factor, const Problem& problem,
            std::vector<double>& out) {
    const int64_t margin = problem.window() - 1, width = problem.columns() + 2 * margin;
    WindowFilter filter(problem.taps, width);  // symmetric taps: turned round they are the same
    std::vector<double> sums(problem.width);
    double* to = out.data();
    const double* factors = factor ? factor->data() : nullptr;
    for (int64_t y = -margin; y < problem.rows() + margin; ++y) {
        std::fill_n(filter.next(), width, 0.0);
        if (0 <= y && y < problem.rows())
            std::copy_n(&field[y * problem.columns()], problem.columns(), filter.next() + margin);
        if (!filter.push()) continue;
        filter.write(sums.data());
        for (int64_t x = 0; x < problem.width; ++x) to[x] += factors ? factors[x] * sums[x] : sums[x];
        to += problem.width;
        if (factors) factors += problem.width;
    }
}

// The window statistics of one map.
struct Moments {
    std::vector<double> means, variances;

    Moments(const Shifted& map, const Problem& problem)
        : means(window_means(map.values, nullptr, problem)),
          variances(window_means(map.values, &map.values, problem)) {
        for (size_t i = 0; i < means.size(); ++i)
            variances[i] = std::max(0.0, problem.formula.covariance(variances[i], means[i], means[i]));
    }
};

// Adds the gradient of one pair with respect to its first map; `weight(i)` is the gradient of window i.
void add_gradient(const Shifted& a, const Moments& of_a, const Shifted& b, const Moments& of_b,
                  const auto& weight, const Problem& problem, std::vector<double>& out) {
    const std::vector<double> products = window_means(a.values, &b.values, problem);
    const auto size = static_cast<size_t>(problem.windows());
    std::vector<double> to_mean(size), to_a(size), to_b(size);
    const SsimFormula& formula = problem.formula;
    for (size_t i = 0; i < size; ++i) {
        const double mean_a = of_a.means[i] + a.offset, mean_b = of_b.means[i] + b.offset;
        const double both = formula.covariance(products[i], of_a.means[i], of_b.means[i]);
        const double luminance = 2 * mean_a * mean_b + formula.luminance_constant;
        const double contrast = 2 * both + formula.contrast_constant;
        const double luminance_limit = mean_a * mean_a + mean_b * mean_b + formula.luminance_constant;
        const double contrast_limit = of_a.variances[i] + of_b.variances[i] + formula.contrast_constant;
        const double scale = weight(i) / (luminance_limit * contrast_limit),
                     value = luminance * contrast * scale;
        const double by_covariance = 2 * luminance * scale * formula.covariance_scale;
        const double by_variance = -value / contrast_limit * formula.covariance_scale;
        const double by_mean = 2 * mean_b * contrast * scale - 2 * mean_a * value / luminance_limit;
        to_mean[i] = by_mean - 2 * by_variance * of_a.means[i] - by_covariance * of_b.means[i];
        to_a[i] = 2 * by_variance;
        to_b[i] = by_covariance;
    }
    spread(to_mean, nullptr, problem, out);
    spread(to_a, &a.values, problem, out);
    spread(to_b, &b.values, problem, out);
}

// The gradient of one map: that of every pair that it is in, in the order of the pairs.
template <typename Value>
void gradient_of_map(int64_t map, const std::vector<Shifted>& maps, const std::vector<Moments>& moments,
                     const Tensor& pairs, const Value* gradient, bool whole, const Problem& problem,
                     Value* out) {
    std::vector<double> total(problem.pixels(), 0.0);
    const auto* pair = read<int64_t>(pairs);
    for (int64_t p = 0; p < pairs.size(0); ++p)
        for (const int side : {0, 1}) {
            const int64_t other = pair[2 * p + 1 - side];
            if (pair[2 * p + side] != map) continue;
            const double each = whole ? 0 : gradient[p] / static_cast<double>(problem.windows());
            const Value* given = whole ? gradient + p * problem.windows() : nullptr;
            const auto weight = [&](size_t i) { return given ? static_cast<double>(given[i]) : each; };
            add_gradient(maps[map], moments[map], maps[other], moments[other], weight, problem, total);
        }
    std::transform(total.begin(), total.end(), out, [](double value) { return static_cast<Value>(value); });
}

template <typename Value>
void gradient_of_image(const Value* from, int64_t count, const Tensor& pairs, const Value* gradient,
                       bool whole, const Problem& problem, Value* out) {
    std::vector<Shifted> maps(count);
    for (int64_t k = 0; k < count; ++k) maps[k] = shifted(from + k * problem.pixels(), problem.pixels());
    std::vector<Moments> moments;
    for (int64_t k = 0; k < count; ++k) moments.emplace_back(maps[k], problem);
    for (int64_t k = 0; k < count; ++k)
        gradient_of_map(k, maps, moments, pairs, gradient, whole, problem, out + k * problem.pixels());
}

Tensor ssim_backward(const Tensor& gradient, const Tensor& maps, const Tensor& pairs,
                     std::vector<double> taps, double data_range, bool sample_covariance) {
    checks::ssim_backward(gradient, maps, pairs, taps, data_range);
    const auto formula = SsimFormula::of(data_range, static_cast<int>(taps.size()), sample_covariance);
    const Problem problem{maps.size(2), maps.size(3), std::move(taps), formula};
    const Tensor from = torch::stable::contiguous(maps), given = torch::stable::contiguous(gradient);
    Tensor out = torch::stable::new_empty(from, {maps.size(0), maps.size(1), maps.size(2), maps.size(3)});
    const bool whole = gradient.dim() == 4;
    const int64_t per_image = pairs.size(0) * (whole ? problem.windows() : 1),
                  size = maps.size(1) * problem.pixels();
    with_value_type(from, [&]<typename Value>() {
        torch::stable::parallel_for(0, maps.size(0), 1, [&](int64_t begin, int64_t end) {
            for (int64_t image = begin; image < end; ++image)
                gradient_of_image(read<Value>(from) + image * size, maps.size(1), pairs,
                                  read<Value>(given) + image * per_image, whole, problem,
                                  write<Value>(out) + image * size);
        });
    });
    return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(sam_toolkit, CPU, library) {
    library.impl("ssim_backward", TORCH_BOX(&ssim_backward));
}

}  // namespace sam_toolkit
