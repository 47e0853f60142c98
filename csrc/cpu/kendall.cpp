#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "../checks.h"
#include "../tensors.h"
#include "clones.h"
#include "ranking.h"

// Kendall's tau-b in O(n log n): the pixels of one map enter in the order of its values, and each is compared
// at once with all that entered before it, by counting how many of them the other map ranks before it.
namespace sam_toolkit {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// A map's pixels in order, and the place of each; of equal ones also the places [first, last) of all.
struct Ranks {
    std::vector<int32_t> order, first, last;
    std::vector<uint32_t> place;  // with kTied set where others are equal: most need no look at the rest
    int64_t untied = 0;           // pairs of pixels with different values
    bool nan = false;

    static constexpr uint32_t kTied = uint32_t{1} << 31;
};

template <typename Value>
Ranks ranks_of(ranking::Sorter<Value>& sorter, const Value* values, int64_t pixels) {
    const std::vector<int32_t> empty(pixels);
    Ranks ranks{empty, empty, empty, std::vector<uint32_t>(pixels), pixels * (pixels - 1) / 2};
    ranks.nan = ranking::has_nan(values, pixels);
    sorter.order(values, ranks.order.data());
    if (ranks.nan) return ranks;
    ranking::for_each_tie(values, ranks.order.data(), pixels, [&](int64_t first, int64_t last) {
        ranks.untied -= (last - first) * (last - first - 1) / 2;
        const uint32_t tied = last - first > 1 ? Ranks::kTied : 0;
        for (int64_t place = first; place < last; ++place) {
            const int32_t pixel = ranks.order[place];
            ranks.first[pixel] = static_cast<int32_t>(first);
            ranks.last[pixel] = static_cast<int32_t>(last);
            ranks.place[pixel] = static_cast<uint32_t>(place) | tied;
        }
    });
    return ranks;
}

// A set of places, 64 to a word, with running counts of the words in a block and of the blocks: what one
// place adds to them is as much work wherever it lies, and goes in vectors.
class Places {
  public:
    explicit Places(int64_t count)
        : words_((count / kBlock + 1) * kWords), inside_(words_.size()), blocks_(count / kBlock + 1) {}

    void clear() {
        std::fill(words_.begin(), words_.end(), 0);
        std::fill(inside_.begin(), inside_.end(), 0);
        std::fill(blocks_.begin(), blocks_.end(), 0);
    }

    [[gnu::always_inline]] void add(uint32_t place) {
        words_[place / 64] |= uint64_t{1} << (place % 64);
        const auto block = static_cast<int32_t>(place / kBlock);
        const auto word = static_cast<uint16_t>(place / 64 % kWords);
        uint16_t* inside = &inside_[block * kWords];
        for (uint16_t i = 0; i < kWords; ++i) inside[i] += i > word;
        int32_t* blocks = blocks_.data();
        for (int32_t i = 0, count = static_cast<int32_t>(blocks_.size()); i < count; ++i)
            blocks[i] += i > block;
    }

    [[gnu::always_inline]] int64_t before(uint32_t place) const {
        const uint64_t below = (uint64_t{1} << (place % 64)) - 1;
        return blocks_[place / kBlock] + inside_[place / 64] + std::popcount(words_[place / 64] & below);
    }

  private:
    static constexpr int kWords = 32, kBlock = 64 * kWords;

    std::vector<uint64_t> words_;
    std::vector<uint16_t> inside_;
    std::vector<int32_t> blocks_;
};

// Pairs of pixels that both maps put in the same order, less those that they put in opposite orders.
SAM_VECTOR_CLONES
int64_t concordance(const Ranks& a, const Ranks& b, Places& seen) {
    const auto pixels = static_cast<int64_t>(a.order.size());
    int64_t sum = 0;
    seen.clear();
    for (int64_t from = 0; from < pixels;) {
        const int32_t pixel = a.order[from];
        const int64_t to = a.place[pixel] & Ranks::kTied ? a.last[pixel] : from + 1;
        for (int64_t i = from; i < to; ++i) {  // equal pixels are not compared with each other
            const int32_t own = a.order[i];
            const uint32_t place = b.place[own];
            sum += (place & Ranks::kTied ? seen.before(b.first[own]) + seen.before(b.last[own])
                                         : 2 * seen.before(place)) -
                   from;
        }
        for (int64_t i = from; i < to; ++i) seen.add(b.place[a.order[i]] & ~Ranks::kTied);
        from = to;
    }
    return sum;
}

double tau(const Ranks& a, const Ranks& b, Places& seen) {
    const double pairs = static_cast<double>(a.untied) * static_cast<double>(b.untied);
    if (a.nan || b.nan || pairs == 0) return std::numeric_limits<double>::quiet_NaN();
    return static_cast<double>(concordance(a, b, seen)) / std::sqrt(pairs);
}

template <typename Value>
std::vector<Ranks> all_ranks(const Value* maps, int64_t count, int64_t pixels) {
    std::vector<Ranks> ranks(count);
    torch::stable::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
        ranking::Sorter<Value> sorter(pixels);
        for (int64_t map = begin; map < end; ++map)
            ranks[map] = ranks_of(sorter, maps + map * pixels, pixels);
    });
    return ranks;
}

Tensor kendall(const Tensor& maps, const Tensor& pairs) {
    checks::kendall(maps, pairs);
    const int64_t images = maps.size(0), each = maps.size(1), pixels = maps.size(2), count = pairs.size(0);
    Tensor out = torch::stable::new_empty(maps, {images, count}, ScalarType::Double);
    const Tensor from = torch::stable::contiguous(maps);
    std::vector<Ranks> ranks;
    with_value_type(from,
                    [&]<typename Value>() { ranks = all_ranks(read<Value>(from), images * each, pixels); });
    const auto* pair = read<int64_t>(pairs);
    auto* to = write<double>(out);
    torch::stable::parallel_for(0, images * count, 1, [&](int64_t begin, int64_t end) {
        Places seen(pixels);
        for (int64_t i = begin; i < end; ++i) {
            const auto* own = ranks.data() + i / count * each;
            to[i] = tau(own[pair[2 * (i % count)]], own[pair[2 * (i % count) + 1]], seen);
        }
    });
    return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(sam_toolkit, CPU, library) {
    library.impl("kendall", TORCH_BOX(&kendall));
}

}  // namespace sam_toolkit
