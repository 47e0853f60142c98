#pragma once

#include <cstdint>
#include <vector>

#include "rows.h"

namespace sam_toolkit {

// The weighted mean over a square window that slides down a map: a row is filtered along x when it comes, and
// the newest `taps` filtered rows are filtered along y. Both passes are sums of products, never differences:
// nothing drifts, and the rounding does not depend on where in the map a window lies.
class WindowFilter {
  public:
    WindowFilter(const std::vector<double>& taps, int64_t width)
        : taps_(taps),
          width_(width - size() + 1),
          row_(width),
          filtered_(taps.size(), std::vector<double>(width_)),
          inputs_(taps.size()) {}

    // Where the caller writes the next row, `width` values.
    double* next() { return row_.data(); }

    // Takes that row in; true once the window is full.
    bool push() {
        for (int64_t k = 0; k < size(); ++k) inputs_[k] = row_.data() + k;
        rows::weighted_sum(inputs_.data(), taps_, width_, filtered_[pushed_ % size()].data());
        return ++pushed_ >= size();
    }

    // Writes the windows' means, width - taps + 1 values.
    void write(double* out) {
        for (int64_t k = 0; k < size(); ++k) inputs_[k] = filtered_[(pushed_ + k) % size()].data();
        rows::weighted_sum(inputs_.data(), taps_, width_, out);
    }

  private:
    int64_t size() const { return static_cast<int64_t>(taps_.size()); }

    const std::vector<double>& taps_;
    int64_t width_;
    std::vector<double> row_;
    std::vector<std::vector<double>> filtered_;
    std::vector<const double*> inputs_;
    int64_t pushed_ = 0;
};

}  // namespace sam_toolkit
