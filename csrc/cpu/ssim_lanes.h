// No include guard: ssim_levels.cpp includes this once for each instruction set, inside a namespace of its
// own that defines kLanes, the doubles of a vector.
//
// Why it is fast: what belongs to one map was computed before, so that a pair of windows costs its products
// alone. Those are summed down a strip of columns in registers, by additions of whole blocks (a sum of
// differences would keep a residue of every outlier that has left the window), then along rows by shifts
// between registers, with log2(window) additions; and the formula is left with one division.

#include "ssim_windows.h"

// Sums down the block's windows, for all columns that its rows need: scratch.sums [rows, stride].
template <typename Own>
SAM_INLINE void sum_down(const Own& window, const Layout& layout, const Block& block, const auto& product,
                         Scratch& scratch) {
    const int64_t stride = layout.stride, rows = block.rows();
    const int64_t columns = block.columns() + window.length() - 1;
    double* sums = scratch.sums.data();
    double* products = scratch.products.data();
    for (int64_t x = 0; x < columns; x += kLanes)
        window.down([=](int64_t y) { return product(x + y * stride); }, rows, stride, sums + x, products);
}

template <typename Value>
Survey survey(const Value* map, int64_t pixels) {
    Doubles sum = {}, largest = {};
    int64_t i = 0;
    for (; i + kLanes <= pixels; i += kLanes) {
        const Doubles values = widened(map + i);
        sum += values;
        largest = values > largest ? values : (-values > largest ? -values : largest);
    }
    Survey result{0, 0};
    for (int lane = 0; lane < kLanes; ++lane) {
        result.mean += sum[lane];
        result.largest = std::max(result.largest, largest[lane]);
    }
    for (; i < pixels; ++i) {
        result.mean += map[i];
        result.largest = std::max<double>(result.largest, std::abs(map[i]));
    }
    result.mean /= static_cast<double>(pixels);
    return result;
}

// The values that a block's windows cover, without the map's mean, scaled; zeros beyond its width.
template <typename Value>
void pack(const Problem& problem, const Value* map, const Block& block, double mean, double scale,
          double* values) {
    const int64_t margin = problem.window.size - 1, width = block.columns() + margin;
    const int64_t stride = problem.layout.stride;
    for (int64_t y = block.top; y < block.bottom + margin; ++y, values += stride) {
        const Value* row = map + y * problem.layout.width + block.left;
        for (int64_t x = 0; x < width; ++x) values[x] = (row[x] - mean) * scale;
        std::fill(values + width, values + stride, 0.0);
    }
}

template <typename Real>
SAM_INLINE void store_as(Real* to, const Doubles& values) {
    typedef Real Narrow __attribute__((vector_size(kLanes * sizeof(Real))));
    store(to, __builtin_convertvector(values, Narrow));
}

template <typename Real, typename Own>
void prepare_with(const Own& window, const Problem& problem, const Block& block, double offset,
                  Scratch& scratch, const Planes<Real>& planes) {
    const int64_t stride = problem.layout.stride;
    const auto sums_of = [&](const auto& product, const auto& take) {
        sum_down(window, problem.layout, block, product, scratch);
        for (int64_t y = 0; y < block.rows(); ++y) {
            typename Own::Along along(scratch.sums.data() + y * stride, window);
            for (int64_t x = 0; x < block.columns(); x += kLanes) take(y * stride + x, along.next());
        }
    };
    sums_of([&](int64_t i) { return load<Doubles>(planes.values + i); },
            [&](int64_t i, const Doubles& sum) {
                const Doubles mean = sum * problem.mean_scale;
                store(planes.means + i, mean);
                store_as(planes.luminances + i, (mean * problem.to_mean + offset) * std::sqrt(2.0));
            });
    sums_of([&](int64_t i) { return load<Doubles>(planes.values + i) * load<Doubles>(planes.values + i); },
            [&](int64_t i, const Doubles& sum) {
                const Doubles mean = load<Doubles>(planes.means + i), twice = sum - mean * mean;
                store_as(planes.contrasts + i, (twice < 0 ? twice * 0 : twice) * 0.5 + problem.c2 * 0.5);
            });
    for (int64_t row = 0; row < block.rows() * stride; row += stride) {
        const int64_t begin = row + block.columns(), end = row + stride;
        std::fill(planes.means + begin, planes.means + end, 0.0);
        std::fill(planes.luminances + begin, planes.luminances + end, Real{0});
        std::fill(planes.contrasts + begin, planes.contrasts + end, std::numeric_limits<Real>::infinity());
    }
}

// Twice the covariances of windows, as the formula's vector takes them: `width<Real>()` of them.
template <typename Real>
struct Formula {
    using Vector = std::conditional_t<std::is_same_v<Real, float>, Floats, Doubles>;
    static constexpr int kWidth = sizeof(Vector) / sizeof(Real);

    template <typename Along>
    static SAM_INLINE Vector covariances(Along& along, const double* a, const double* b) {
        if constexpr (kWidth == kLanes) {
            return along.next() - load<Doubles>(a) * load<Doubles>(b);
        } else {
            const Doubles low = along.next() - load<Doubles>(a) * load<Doubles>(b);
            const Doubles high = along.next() - load<Doubles>(a + kLanes) * load<Doubles>(b + kLanes);
            return joined(low, high, std::make_index_sequence<2 * kLanes>());
        }
    }

    template <size_t... i>
    static SAM_INLINE Vector joined(const Doubles& low, const Doubles& high, std::index_sequence<i...>) {
        typedef float Half __attribute__((vector_size(kLanes * sizeof(float))));
        return __builtin_shufflevector(__builtin_convertvector(low, Half),
                                       __builtin_convertvector(high, Half), i...);
    }

    // The lanes in double, the upper half added to the lower.
    static SAM_INLINE Doubles folded(const Vector& values) {
        if constexpr (kWidth == kLanes)
            return values;
        else
            return part<0>(values, std::make_index_sequence<kLanes>()) +
                   part<kLanes>(values, std::make_index_sequence<kLanes>());
    }

    // By a shuffle: a vector whose address were taken would lie in memory while it is added to.
    template <size_t first, size_t... i>
    static SAM_INLINE Doubles part(const Vector& values, std::index_sequence<i...>) {
        return __builtin_convertvector(__builtin_shufflevector(values, values, (first + i)...), Doubles);
    }

    // Half of SSIM.
    static SAM_INLINE Vector similarity(const Vector& twice_covariance, const Vector& luminance_a,
                                        const Vector& luminance_b, const Vector& contrast, Real c1, Real c2) {
        const Vector top = (luminance_a * luminance_b + c1) * (twice_covariance + c2);
        return top / ((luminance_a * luminance_a + (luminance_b * luminance_b + 2 * c1)) * contrast);
    }
};

// Half the sum of SSIM over a row of windows, in lanes; `take(x, halves)` sees half of each.
template <typename Real, typename Own>
SAM_INLINE Doubles sum_row(const Own& window, const Problem& problem, const Planes<Real>& a,
                           const Planes<Real>& b, int64_t start, int64_t columns, const double* sums,
                           const auto& take) {
    using Row = Formula<Real>;
    using Vector = typename Row::Vector;
    const Real* luminances_a = a.luminances + start;
    const Real* luminances_b = b.luminances + start;
    const Real* contrasts_a = a.contrasts + start;
    const Real* contrasts_b = b.contrasts + start;
    const double* means_a = a.means + start;
    const double* means_b = b.means + start;
    const auto c1 = static_cast<Real>(problem.c1), c2 = static_cast<Real>(problem.c2);
    typename Own::Along along(sums, window);
    Vector total = {};
    for (int64_t x = 0; x < columns; x += Row::kWidth) {
        const Vector contrast = load<Vector>(contrasts_a + x) + load<Vector>(contrasts_b + x);
        const Vector half =
            Row::similarity(Row::covariances(along, means_a + x, means_b + x), load<Vector>(luminances_a + x),
                            load<Vector>(luminances_b + x), contrast, c1, c2);
        total += half;
        take(x, half);
    }
    return Row::folded(total);
}

template <typename Real, typename Value, typename Own>
double compare_with(const Own& window, const Problem& problem, const Planes<Real>& a, const Planes<Real>& b,
                    const Block& block, Scratch& scratch, Value* out) {
    const double* values_a = a.values;
    const double* values_b = b.values;
    sum_down(
        window, problem.layout, block,
        [=](int64_t i) { return load<Doubles>(values_a + i) * load<Doubles>(values_b + i); }, scratch);
    const int64_t columns = block.columns();
    Doubles total = {};
    for (int64_t y = 0; y < block.rows(); ++y) {
        const int64_t start = y * problem.layout.stride;
        const double* sums = scratch.sums.data() + start;
        if (out == nullptr) {
            total += sum_row(window, problem, a, b, start, columns, sums, [](int64_t, const auto&) {});
            continue;
        }
        auto* row = reinterpret_cast<Real*>(scratch.row.data());
        sum_row(window, problem, a, b, start, columns, sums,
                [&](int64_t x, const auto& half) { store(row + x, half + half); });
        std::copy(row, row + columns, out + (block.top + y) * problem.layout.columns + block.left);
    }
    double sum = 0;
    for (int lane = 0; lane < kLanes; ++lane) sum += total[lane];
    return 2 * sum;
}

auto with_window(const Window& window, const auto& body) {
    if (window.uniform) {
        switch (window.size) {
            case 3:
                return body(UniformWindow<3>(window));
            case 5:
                return body(UniformWindow<5>(window));
            case 7:
                return body(UniformWindow<7>(window));
            case 9:
                return body(UniformWindow<9>(window));
            case 11:
                return body(UniformWindow<11>(window));
        }
    } else if (window.size == 11) {
        return body(WeightedWindow<11>(window));
    }
    return body(AnyWindow(window));
}

template <typename Real, typename Value>
void prepare(const Problem& problem, const Value* map, const Survey& survey, const Block& block,
             Scratch& scratch, const Planes<Real>& planes) {
    pack(problem, map, block, survey.mean, problem.value_scale, planes.values);
    with_window(problem.window, [&](const auto& own) {
        prepare_with(own, problem, block, survey.mean / problem.data_range, scratch, planes);
    });
}

template <typename Real, typename Value>
double compare(const Problem& problem, const Planes<Real>& a, const Planes<Real>& b, const Block& block,
               Scratch& scratch, Value* out) {
    return with_window(problem.window, [&](const auto& own) {
        return compare_with(own, problem, a, b, block, scratch, out);
    });
}

template <typename Real, typename Value>
constexpr Level<Real, Value> kLevel{survey<Value>, prepare<Real, Value>, compare<Real, Value>};
