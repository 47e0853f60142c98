#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace sam_toolkit {

// Memory that is written from one end to the other, run after run.
//
// Runs are often a few values: up to kShort bytes they are copied as kShort, which is a handful of
// instructions, and what was too much is written over by the next. Where the memory is far larger than the
// caches, runs are gathered in a buffer and leave it past the caches: written lines need not be read first,
// and what is copied from stays cached.
class ByteStream {
  public:
    // What `past_caches` is worth its while for, in all.
    static constexpr int64_t kLarge = int64_t{32} << 20;

    ByteStream(std::byte* out, int64_t bytes, bool past_caches)
        : out_(out), buffered_(past_caches), at_(out), end_(out + bytes) {
        if (buffered_) begin_buffer();
    }

    ~ByteStream() {
        if (!buffered_) return;
        flush();
#ifdef __SSE2__
        _mm_sfence();
#endif
    }

    ByteStream(const ByteStream&) = delete;
    ByteStream& operator=(const ByteStream&) = delete;

    // Copies `bytes` from `from`, of which `readable` may be read.
    void append(const std::byte* from, int64_t bytes, int64_t readable) {
        if (bytes <= kShort && readable >= kShort && end_ - at_ >= kShort) {
            std::memcpy(at_, from, kShort);
            at_ += bytes;
            return;
        }
        append_long(from, bytes);
    }

  private:
    static constexpr int64_t kShort = 64, kLine = 64, kBuffer = 8192;

    void append_long(const std::byte* from, int64_t bytes) {
        while (bytes > end_ - at_) {
            const int64_t part = end_ - at_;
            std::memcpy(at_, from, part);
            at_ += part;
            flush();
            from += part;
            bytes -= part;
        }
        std::memcpy(at_, from, bytes);
        at_ += bytes;
    }

    // The buffer's lines are those of the memory, of which the first may be entered in its midst.
    void begin_buffer() {
        at_ = begin_ = buffer_.data() + reinterpret_cast<uintptr_t>(out_) % kLine;
        end_ = buffer_.data() + kBuffer;
    }

    void flush() {
        const std::byte* from = begin_;
        const auto step = [&](int64_t bytes) { from += bytes, out_ += bytes; };
        const int64_t head = std::min<int64_t>(at_ - from, (buffer_.data() - from) & (kLine - 1));
        std::memcpy(out_, from, head);
        step(head);
        for (; at_ - from >= kLine; step(kLine)) write_line(from);
        std::memcpy(out_, from, at_ - from);
        step(at_ - from);
        begin_buffer();
    }

    void write_line(const std::byte* from) const {
#ifdef __SSE2__
        const auto* values = reinterpret_cast<const __m128i*>(from);
        for (int i = 0; i < 4; ++i)
            _mm_stream_si128(reinterpret_cast<__m128i*>(out_) + i, _mm_load_si128(values + i));
#else
        std::memcpy(out_, from, kLine);
#endif
    }

    std::byte* out_;
    bool buffered_;
    std::byte *begin_ = nullptr, *at_, *end_;
    alignas(kLine) std::array<std::byte, kBuffer> buffer_;
};

}  // namespace sam_toolkit
