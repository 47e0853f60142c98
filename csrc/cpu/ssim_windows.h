// No include guard, as ssim_lanes.h: vectors of kLanes doubles, and the sums over windows of each kind.

typedef double Doubles __attribute__((vector_size(kLanes * sizeof(double))));
typedef float Floats __attribute__((vector_size(2 * kLanes * sizeof(float))));

template <typename Vector>
SAM_INLINE Vector load(const auto* from) {
    Vector result;
    __builtin_memcpy(&result, from, sizeof result);
    return result;
}

template <typename Value>
SAM_INLINE Doubles widened(const Value* from) {
    typedef Value Narrow __attribute__((vector_size(kLanes * sizeof(Value))));
    return __builtin_convertvector(load<Narrow>(from), Doubles);
}

SAM_INLINE void store(auto* to, const auto& values) {
    __builtin_memcpy(to, &values, sizeof values);
}

template <int shift, size_t... i>
SAM_INLINE Doubles shifted_by(const Doubles& first, const Doubles& second, std::index_sequence<i...>) {
    return __builtin_shufflevector(first, second, (i + shift)...);
}

// The lanes from `offset` on, over vectors that follow one another.
template <int offset>
SAM_INLINE Doubles from_lane(const Doubles* vectors) {
    constexpr int first = offset / kLanes, shift = offset % kLanes;
    if constexpr (shift == 0)
        return vectors[first];
    else
        return shifted_by<shift>(vectors[first], vectors[first + 1], std::make_index_sequence<kLanes>());
}

// The sums over windows of a fixed size, uniform: blocks of rows are summed from both of their ends, and a
// window is the end of one block and the start of the next.
template <int size>
struct UniformWindow {
    static constexpr int kSize = size;

    explicit UniformWindow(const Window&) {}
    static constexpr int64_t length() { return size; }

    // out[y * stride] = sum of product(y) ... product(y + size - 1) for y < rows.
    SAM_INLINE void down(const auto& product, int64_t rows, int64_t stride, double* out, double*) const {
        const int64_t end = rows + size - 1;
        Doubles ends[size] = {};
        if (end >= size) block<false>(product, 0, size, ends, stride, out);
        int64_t start = size;
        for (; start + size <= end; start += size) block<true>(product, start, size, ends, stride, out);
        block<true>(product, start, end - start, ends, stride, out);
    }

    // The first `count` rows of a block; windows that end in it are written where there was a block before
    // it.
    template <bool later>
    static SAM_INLINE void block(const auto& product, int64_t start, int64_t count, Doubles* ends,
                                 int64_t stride, double* out) {
        Doubles values[size], sum = {};
#pragma GCC unroll 16
        for (int j = 0; j < size; ++j) {
            if (j >= count) return;
            values[j] = product(start + j);
            sum = j == 0 ? values[j] : sum + values[j];
            const Doubles total = later && j + 1 < size ? sum + ends[j + 1] : sum;
            if (later || j + 1 == size) store(out + (start + j + 1 - size) * stride, total);
        }
        ends[size - 1] = values[size - 1];
#pragma GCC unroll 16
        for (int j = size - 2; j > 0; --j) ends[j] = ends[j + 1] + values[j];
    }

    // The sums of `size` neighbours, for the lanes of the first of four vectors that follow one another.
    struct Along {
        const double* row;
        Doubles ones[4], twos[3], fours[2];

        SAM_INLINE explicit Along(const double* start, const UniformWindow&) : row(start) {
            for (int i = 0; i < 4; ++i) ones[i] = load<Doubles>(row + i * kLanes);
            for (int i = 0; i < 3; ++i) twos[i] = ones[i] + from_lane<1>(ones + i);
            for (int i = 0; i < 2; ++i) fours[i] = twos[i] + from_lane<2>(twos + i);
        }

        SAM_INLINE Doubles next() {
            const Doubles result = sum();
            row += kLanes;
            ones[0] = ones[1], ones[1] = ones[2], ones[2] = ones[3],
            ones[3] = load<Doubles>(row + 3 * kLanes);
            twos[0] = twos[1], twos[1] = twos[2], twos[2] = ones[2] + from_lane<1>(ones + 2);
            fours[0] = fours[1], fours[1] = twos[1] + from_lane<2>(twos + 1);
            return result;
        }

        SAM_INLINE Doubles sum() const {
            if constexpr (size == 3) return twos[0] + from_lane<2>(ones);
            if constexpr (size == 5) return fours[0] + from_lane<4>(ones);
            if constexpr (size == 7) return fours[0] + from_lane<4>(twos) + from_lane<6>(ones);
            if constexpr (size == 9) return fours[0] + from_lane<4>(fours) + from_lane<8>(ones);
            if constexpr (size == 11)
                return fours[0] + from_lane<4>(fours) + (from_lane<8>(twos) + from_lane<10>(ones));
        }
    };
};

// The sums over symmetric weighted windows of a fixed size.
template <int size>
struct WeightedWindow {
    static constexpr int kHalf = size / 2;
    double taps[kHalf + 1];

    explicit WeightedWindow(const Window& window) { std::copy(window.taps, window.taps + kHalf + 1, taps); }
    static constexpr int64_t length() { return size; }

    SAM_INLINE void down(const auto& product, int64_t rows, int64_t stride, double* out, double*) const {
        const int64_t end = rows + size - 1;
        Doubles values[size] = {};
        for (int64_t start = 0; start < end; start += size) {
#pragma GCC unroll 16
            for (int j = 0; j < size; ++j) {
                if (start + j >= end) return;
                values[j] = product(start + j);
                if (start == 0 && j + 1 < size) continue;
                Doubles sum = values[(j + 1 + kHalf) % size] * taps[kHalf];
#pragma GCC unroll 16
                for (int k = 0; k < kHalf; ++k)
                    sum += (values[(j + 1 + k) % size] + values[(j + size - k) % size]) * taps[k];
                store(out + (start + j + 1 - size) * stride, sum);
            }
        }
    }

    struct Along {
        const double* row;
        const WeightedWindow& window;
        Doubles ones[4];

        SAM_INLINE explicit Along(const double* start, const WeightedWindow& own) : row(start), window(own) {
            for (int i = 0; i < 4; ++i) ones[i] = load<Doubles>(row + i * kLanes);
        }

        template <size_t... k>
        SAM_INLINE Doubles sum(std::index_sequence<k...>) const {
            return ((from_lane<kHalf>(ones) * window.taps[kHalf]) + ... +
                    ((from_lane<k>(ones) + from_lane<size - 1 - k>(ones)) * window.taps[k]));
        }

        SAM_INLINE Doubles next() {
            const Doubles result = sum(std::make_index_sequence<kHalf>());
            row += kLanes;
            ones[0] = ones[1], ones[1] = ones[2], ones[2] = ones[3],
            ones[3] = load<Doubles>(row + 3 * kLanes);
            return result;
        }
    };
};

// The sums over a window of any size and weights.
struct AnyWindow {
    const Window& window;

    explicit AnyWindow(const Window& own) : window(own) {}
    int64_t length() const { return window.size; }

    void down(const auto& product, int64_t rows, int64_t stride, double* out, double* products) const {
        for (int64_t y = 0; y < rows + window.size - 1; ++y) store(products + y * kLanes, product(y));
        for (int64_t y = 0; y < rows; ++y) {
            Doubles sum = {};
            for (int64_t k = 0; k < window.size; ++k)
                sum += load<Doubles>(products + (y + k) * kLanes) * window.taps[k];
            store(out + y * stride, sum);
        }
    }

    struct Along {
        const double* row;
        const Window& window;

        SAM_INLINE explicit Along(const double* start, const AnyWindow& own)
            : row(start), window(own.window) {}

        SAM_INLINE Doubles next() {
            Doubles sum = {};
            for (int64_t k = 0; k < window.size; ++k) sum += load<Doubles>(row + k) * window.taps[k];
            row += kLanes;
            return sum;
        }
    };
};
