#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

// The pixels of a map in the order of their values.
namespace sam_toolkit::ranking {

template <typename Value>
using Key = std::conditional_t<sizeof(Value) == 4, uint32_t, uint64_t>;

// A number that is the smaller the larger the value is; -0 is 0, and NaN comes before infinity, as PyTorch
// sorts.
template <typename Value>
Key<Value> descending_key(Value value) {
    if (value != value) return 0;
    constexpr Key<Value> kSign = Key<Value>{1} << (8 * sizeof(Value) - 1);
    const auto bits = std::bit_cast<Key<Value>>(value + Value{0});
    return bits & kSign ? bits : ~(bits | kSign);
}

// Sorts maps by digits of 11 bits, from the last to the first; keeps its memory from map to map.
template <typename Value>
class Sorter {
  public:
    explicit Sorter(int64_t pixels) : entries_(pixels), sorted_(pixels) {}

    // Writes the pixels, the largest value first, and of equal ones that with the lower index.
    void order(const Value* values, int32_t* out) {
        const auto count = static_cast<int32_t>(entries_.size());
        for (auto& digits : places_) digits.fill(0);
        for (int32_t i = 0; i < count; ++i) {
            const Key<Value> key = descending_key(values[i]);
            entries_[i] = {key, i};
            for (int digit = 0; digit < kDigits; ++digit) ++places_[digit][part(key, digit)];
        }
        for (int digit = 0; digit < kDigits; ++digit)
            if (count && places_[digit][part(entries_[0].key, digit)] != count) sort_by(digit);
        for (int32_t i = 0; i < count; ++i) out[i] = entries_[i].pixel;
    }

  private:
    static constexpr int kBits = 11;
    static constexpr int kDigits = (8 * sizeof(Value) + kBits - 1) / kBits;

    struct Entry {
        Key<Value> key;
        int32_t pixel;
    };

    static size_t part(Key<Value> key, int digit) {
        return static_cast<size_t>(key >> (kBits * digit)) & ((1 << kBits) - 1);
    }

    void sort_by(int digit) {
        int32_t next = 0;
        for (int32_t& place : places_[digit]) next += std::exchange(place, next);
        for (const Entry& entry : entries_) sorted_[places_[digit][part(entry.key, digit)]++] = entry;
        entries_.swap(sorted_);
    }

    std::vector<Entry> entries_, sorted_;
    std::array<std::array<int32_t, 1 << kBits>, kDigits> places_;
};

// Calls run(first, last) for each run of places in `order` whose pixels have equal values.
template <typename Value>
void for_each_tie(const Value* values, const int32_t* order, int64_t count, const auto& run) {
    for (int64_t first = 0, last = 0; first < count; first = last) {
        while (last < count && values[order[last]] == values[order[first]]) ++last;
        run(first, last);
    }
}

template <typename Value>
bool has_nan(const Value* values, int64_t count) {
    bool found = false;
    for (int64_t i = 0; i < count; ++i) found |= values[i] != values[i];
    return found;
}

}  // namespace sam_toolkit::ranking
