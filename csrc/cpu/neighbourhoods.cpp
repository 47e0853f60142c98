#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "../checks.h"
#include "../tensors.h"
#include "clones.h"

// Sets of pixels that grow one by one, and their neighbourhoods: of LENS (Kamath et al., AAAI 2024).
namespace sam_toolkit {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// Past so many counts, all are had from one running sum.
constexpr size_t kFewCounts = 8;

struct Size {
    int64_t height, width;
};

// The greedy scan: a pixel is kept unless one within `window` rows and columns was kept before it.
void scan(const int32_t* order, int64_t length, const Size& size, int64_t window, int64_t count,
          std::vector<uint8_t>& taken, int32_t* picks) {
    std::fill(taken.begin(), taken.end(), 0);
    int64_t found = 0;
    for (int64_t i = 0; i < length && found < count; ++i) {
        const int64_t pixel = order[i];
        if (taken[pixel]) continue;
        picks[found++] = order[i];
        const int64_t y = pixel / size.width, x = pixel % size.width;
        const int64_t left = std::max<int64_t>(x - window, 0);
        const int64_t right = std::min(x + window, size.width - 1);
        for (int64_t row = std::max<int64_t>(y - window, 0); row <= std::min(y + window, size.height - 1);
             ++row)
            std::memset(&taken[row * size.width + left], 1, right - left + 1);
    }
    std::fill(picks + found, picks + count, -1);
}

Tensor diverse_picks(const Tensor& order, int64_t height, int64_t width, int64_t window, int64_t count) {
    checks::diverse_picks(order, height, width, window, count);
    const int64_t maps = order.size(0), length = order.size(1);
    window = std::min(window, std::max(height, width));
    Tensor out = torch::stable::new_empty(order, {maps, count});
    const auto* from = read<int32_t>(order);
    auto* to = write<int32_t>(out);
    torch::stable::parallel_for(0, maps, 1, [&](int64_t begin, int64_t end) {
        std::vector<uint8_t> taken(height * width);
        for (int64_t map = begin; map < end; ++map)
            scan(from + map * length, length, {height, width}, window, count, taken, to + map * count);
    });
    return out;
}

[[gnu::always_inline]] inline void minimum(int32_t* values, const int32_t* others, int64_t count) {
    for (int64_t i = 0; i < count; ++i) values[i] = std::min(values[i], others[i]);
}

// Lets each of the `count` units of `unit` numbers hold the minimum of itself and the `span` - 1 after it, as
// far as there are so many, by doubling: values[i] covers 1, 2, 4 ... units, and at last two that overlap.
[[gnu::always_inline]] inline void minima_after(int32_t* values, int64_t count, int64_t unit, int64_t span) {
    int64_t covered = 1;
    for (; 2 * covered <= span; covered *= 2)
        minimum(values, values + covered * unit, (count - covered) * unit);
    minimum(values, values + (span - covered) * unit, (count - span + covered) * unit);
}

// For each pixel, the place of the first pick within its window; `none` where there is none.
SAM_VECTOR_CLONES
void first_within(const int32_t* picks, int32_t none, const Size& size, int64_t window,
                  std::vector<int32_t>& padded, int32_t* out) {
    const int64_t down = std::min(window, size.height - 1), across = std::min(window, size.width - 1);
    const int64_t row = size.width + 2 * across, rows = size.height + 2 * down;
    padded.assign(rows * row, none);
    for (int32_t place = 0; place < none; ++place) {
        const int64_t pixel = picks[place];
        if (pixel < 0) continue;
        int32_t& earliest = padded[(pixel / size.width + down) * row + pixel % size.width + across];
        earliest = std::min(earliest, place);
    }
    for (int64_t y = down; y < down + size.height; ++y)
        minima_after(&padded[y * row], row, 1, 2 * across + 1);
    minima_after(padded.data(), rows, row, 2 * down + 1);
    for (int64_t y = 0; y < size.height; ++y) std::copy_n(&padded[y * row], size.width, out + y * size.width);
}

Tensor reach(const Tensor& picks, int64_t height, int64_t width, int64_t window) {
    checks::reach(picks, height, width, window);
    const int64_t maps = picks.size(0), length = picks.size(1);
    Tensor out = torch::stable::new_empty(picks, {maps, height * width});
    const auto* from = read<int32_t>(picks);
    auto* to = write<int32_t>(out);
    torch::stable::parallel_for(0, maps, 1, [&](int64_t begin, int64_t end) {
        std::vector<int32_t> padded;
        for (int64_t map = begin; map < end; ++map)
            first_within(from + map * length, static_cast<int32_t>(length), {height, width}, window, padded,
                         to + map * height * width);
    });
    return out;
}

// How many of the first `count` picks have a reach below `count`.
SAM_VECTOR_CLONES
int64_t overlap(const int32_t* reach, const int32_t* picks, int64_t count) {
    int64_t hits = 0;
    for (int64_t i = 0; i < count; ++i) hits += picks[i] >= 0 && reach[std::max(picks[i], 0)] < count;
    return hits;
}

// The same for every count up to the number of picks: pick i counts from the (i + 1)th on, and from the one
// on whose set it is reached from.
std::vector<int64_t> running_overlaps(const int32_t* reach, const int32_t* picks, int64_t length) {
    std::vector<int64_t> hits(length + 1);
    for (int64_t i = 0; i < length; ++i) {
        const int64_t place = picks[i] < 0 ? length : std::max<int64_t>(i, reach[picks[i]]);
        if (place < length) ++hits[place + 1];
    }
    for (int64_t i = 0; i < length; ++i) hits[i + 1] += hits[i];
    return hits;
}

void overlaps_of(const int32_t* reach, const int32_t* picks, int64_t length,
                 const std::vector<int64_t>& counts, int64_t* out) {
    if (counts.size() <= kFewCounts) {
        for (const int64_t count : counts) *out++ = overlap(reach, picks, count);
        return;
    }
    const auto hits = running_overlaps(reach, picks, length);
    for (const int64_t count : counts) *out++ = hits[count];
}

// Both sides of an overlap for sets of one size, a bit a pixel: what many pairs among few maps are compared
// by.
class Masks {
  public:
    Masks(int64_t maps, int64_t pixels)
        : pixels_(pixels), words_((pixels + 63) / 64), near_(maps * words_), picked_(maps * words_) {}

    void mark(int64_t map, const int32_t* reach, const int32_t* picks, int64_t count) {
        mark_near(reach, pixels_, count, &near_[map * words_]);
        uint64_t* picked = &picked_[map * words_];
        std::fill(picked, picked + words_, 0);
        for (int64_t i = 0; i < count; ++i)
            if (picks[i] >= 0) picked[picks[i] / 64] |= uint64_t{1} << (picks[i] % 64);
    }

    int64_t overlap(int64_t near, int64_t picked) const {
        return common(&near_[near * words_], &picked_[picked * words_], words_);
    }

  private:
    SAM_VECTOR_CLONES
    static void mark_near(const int32_t* reach, int64_t pixels, int64_t count, uint64_t* near) {
        for (int64_t first = 0; first < pixels; first += 64) {
            const int64_t width = std::min<int64_t>(64, pixels - first);
            uint64_t word = 0;
            for (int64_t i = 0; i < width; ++i) word |= uint64_t{reach[first + i] < count} << i;
            near[first / 64] = word;
        }
    }

    SAM_VECTOR_CLONES
    static int64_t common(const uint64_t* a, const uint64_t* b, int64_t words) {
        int64_t count = 0;
        for (int64_t i = 0; i < words; ++i) count += std::popcount(a[i] & b[i]);
        return count;
    }

    int64_t pixels_, words_;
    std::vector<uint64_t> near_, picked_;
};

// The maps [B, K, n] and picks [B, K, m] with the pairs [P, 2] that are compared of each of B images.
struct Comparison {
    const Tensor& maps;
    const Tensor& picked;
    const Tensor& rows;
    const std::vector<int64_t>& counts;

    int64_t images() const { return maps.size(0); }
    int64_t each() const { return maps.size(1); }
    int64_t pixels() const { return maps.size(2); }
    int64_t length() const { return picked.size(2); }
    int64_t pairs() const { return rows.size(0); }
    const int32_t* reach(int64_t map) const { return read<int32_t>(maps) + map * pixels(); }
    const int32_t* picks(int64_t map) const { return read<int32_t>(picked) + map * length(); }
    // Calls run(i, near, picked) for the i-th pair of all images, with the numbers of its two maps.
    void for_each_pair(const auto& run) const {
        const auto* pair = read<int64_t>(rows);
        torch::stable::parallel_for(0, images() * pairs(), 16, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                const int64_t first = i / pairs() * each(), row = i % pairs();
                run(i, first + pair[2 * row], first + pair[2 * row + 1]);
            }
        });
    }
};

void overlaps_by_masks(const Comparison& all, int64_t* out) {
    const int64_t maps = all.images() * all.each(), kept = static_cast<int64_t>(all.counts.size());
    Masks masks(maps, all.pixels());
    for (int64_t c = 0; c < kept; ++c) {
        torch::stable::parallel_for(0, maps, 1, [&](int64_t begin, int64_t end) {
            for (int64_t map = begin; map < end; ++map)
                masks.mark(map, all.reach(map), all.picks(map), all.counts[c]);
        });
        all.for_each_pair([&](int64_t i, int64_t near, int64_t picked) {
            out[i * kept + c] = masks.overlap(near, picked);
        });
    }
}

Tensor overlaps(const Tensor& reach, const Tensor& picks, const Tensor& pairs, std::vector<int64_t> counts) {
    checks::overlaps(reach, picks, pairs, counts);
    const Comparison all{reach, picks, pairs, counts};
    const auto kept = static_cast<int64_t>(counts.size());
    Tensor out = torch::stable::new_empty(reach, {all.images(), all.pairs(), kept}, ScalarType::Long);
    auto* to = write<int64_t>(out);
    if (counts.size() <= kFewCounts && all.pairs() > all.each())
        overlaps_by_masks(all, to);
    else
        all.for_each_pair([&](int64_t i, int64_t near, int64_t picked) {
            overlaps_of(all.reach(near), all.picks(picked), all.length(), counts, to + i * kept);
        });
    return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(sam_toolkit, CPU, library) {
    library.impl("diverse_picks", TORCH_BOX(&diverse_picks));
    library.impl("reach", TORCH_BOX(&reach));
    library.impl("overlaps", TORCH_BOX(&overlaps));
}

}  // namespace sam_toolkit
