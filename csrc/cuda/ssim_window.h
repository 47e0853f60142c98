#pragma once

#include <algorithm>
#include <type_traits>

#include "launch.h"
#include "ssim_kernel.h"

// Weighted sums over square windows, a tile of windows to a block: what the kernels of SSIM are made of.
namespace sam_toolkit::window {

// Threads are columns; sums down a column go through shared memory to the threads that sum along rows.
constexpr int kColumns = 128, kRows = 16;

template <typename Sum>
using Shared = Sum[kRows][kColumns];

// Windows along a row of a tile. Where the window's side is known (kTaps) the columns that stick out are the
// block's own, otherwise the block goes on to the right for them.
template <int kTaps>
constexpr int kOutputs = kTaps > 0 ? kColumns - kTaps + 1 : kColumns;

struct Tile {
    int top, left;

    // Whether row r of the tile is a row of the map's windows, and this thread's column is one.
    template <typename Number>
    __device__ bool holds(int r, const SsimMaps<Number>& maps) const {
        return top + r < maps.rows() && left + static_cast<int>(threadIdx.x) < maps.columns();
    }

    // Where that window is among the map's; beyond the last ones, where these are.
    template <typename Number>
    __device__ int place(int r, const SsimMaps<Number>& maps) const {
        const int x = min(left + static_cast<int>(threadIdx.x), maps.columns() - 1);
        return min(top + r, maps.rows() - 1) * maps.columns() + x;
    }
};

template <int kTaps>
__host__ __device__ int64_t tiles(int rows, int columns) {
    const int64_t down = (rows + kRows - 1) / kRows,
                  along = (columns + kOutputs<kTaps> - 1) / kOutputs<kTaps>;
    return down * along;
}

template <int kTaps>
__device__ Tile tile_at(int64_t index, int columns) {
    const int along = (columns + kOutputs<kTaps> - 1) / kOutputs<kTaps>;
    return {static_cast<int>(index / along) * kRows, static_cast<int>(index % along) * kOutputs<kTaps>};
}

// Calls use(r, sum) in the threads threadIdx.x < kOutputs, for each row r of a tile with the sum over the
// window from (r, threadIdx.x) on of what load(row, column) gives, both counted from the tile's corner.
// Rows are unrolled kAtOnce; a use that keeps a value for each row in registers needs all. All threads of the
// block must come.
template <int kTaps, int kAtOnce = 4, typename Sum, typename Load, typename Use>
__device__ __forceinline__ void for_windows(const Taps<Sum>& taps, Shared<Sum>& columns, const Load& load,
                                            const Use& use) {
    const int x = threadIdx.x;
    if constexpr (kTaps > 0) {
        Sum values[kRows + kTaps - 1];
#pragma unroll
        for (int r = 0; r < kRows + kTaps - 1; ++r) values[r] = load(r, x);
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
            Sum sum = taps.few[0] * values[r];
#pragma unroll
            for (int k = 1; k < kTaps; ++k) sum += taps.few[k] * values[r + k];
            columns[r][x] = sum;
        }
        __syncthreads();
        if (x < kOutputs<kTaps>) {
#pragma unroll kAtOnce
            for (int r = 0; r < kRows; ++r) {
                Sum sum = taps.few[0] * columns[r][x];
#pragma unroll
                for (int k = 1; k < kTaps; ++k) sum += taps.few[k] * columns[r][x + k];
                use(r, sum);
            }
        }
        __syncthreads();
    } else {
        Sum sums[kRows] = {};
        for (int first = 0; first < kColumns + taps.count - 1; first += kColumns) {
            for (int r = 0; r < kRows; ++r) {
                Sum sum = 0;
                for (int k = 0; k < taps.count; ++k) sum += taps.all[k] * load(r + k, first + x);
                columns[r][x] = sum;
            }
            __syncthreads();
            const int begin = max(0, first - x), end = min(taps.count, first + kColumns - x);
            for (int k = begin; k < end; ++k) {
#pragma unroll
                for (int r = 0; r < kRows; ++r) sums[r] += taps.all[k] * columns[r][x + k - first];
            }
            __syncthreads();
        }
#pragma unroll kAtOnce
        for (int r = 0; r < kRows; ++r) use(r, sums[r]);
    }
}

// One map of a call: its values without its offset, and what it brings to pairs.
template <typename Number>
class Map {
  public:
    using Sum = typename Number::Sum;
    using Ratio = typename Number::Ratio;

    __device__ Map(const SsimMaps<Number>& maps, int64_t map)
        : values_(maps.values + map * maps.pixels()),
          means_(maps.means + map * maps.windows()),
          contrasts_(maps.contrasts + map * maps.windows()),
          offset_(maps.offsets[map]),
          to_unit_(maps.to_unit),
          last_row_(maps.height - 1),
          last_column_(maps.width - 1) {}

    // Beyond the edges this is what is at the edge, for windows that nobody asked for.
    __device__ Sum value(int y, int x) const {
        return static_cast<Sum>(values_[min(y, last_row_) * (last_column_ + 1) + min(x, last_column_)]) -
               offset_;
    }

    // Of a window by its place in the map, in the map's units and without the offset.
    __device__ Sum shifted_mean(int window) const { return means_[window]; }

    // In data ranges.
    __device__ Sum mean(int window) const { return (means_[window] + offset_) * to_unit_; }

    // In squared data ranges.
    __device__ Ratio contrast(int window) const { return contrasts_[window]; }

  private:
    const typename Number::Value* values_;
    const Sum* means_;
    const Ratio* contrasts_;
    Sum offset_, to_unit_;
    int last_row_, last_column_;
};

// SSIM's constants in squared data ranges (Wang et al., 2004).
template <typename Ratio>
struct Constants {
    static constexpr Ratio luminance = static_cast<Ratio>(0.01 * 0.01),
                           contrast = static_cast<Ratio>(0.03 * 0.03);
};

// Calls body with the window's side as a constant where kernels unroll it, and else with zero: windows that
// are no library's default, and float64, are served by loops, which keeps the compiled code small.
template <typename Number, typename Body>
auto with_taps(int count, const Body& body) {
    if constexpr (!std::is_same_v<Number, Doubles>) {
        if (count == 5) return body(std::integral_constant<int, 5>());
        if (count == 7) return body(std::integral_constant<int, 7>());
        if (count == 11) return body(std::integral_constant<int, 11>());
    }
    return body(std::integral_constant<int, 0>());
}

}  // namespace sam_toolkit::window
