#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/MemoryFormat.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

#include "geometry.h"
#include "tensors.h"

// Calls of `occlude` and `assemble`, for every backend.
namespace sam_toolkit {

// ChannelsLast for a tensor [N, C, H, W] that is so and not contiguous too, else Contiguous: what results
// are.
inline torch::headeronly::MemoryFormat format_of(const torch::stable::Tensor& tensor) {
    using torch::headeronly::MemoryFormat;
    bool last = !tensor.is_contiguous();
    int64_t expected = 1;
    for (const int64_t axis : {1, 3, 2, 0}) {
        last = last && (tensor.size(axis) == 1 || tensor.stride(axis) == expected);
        expected *= tensor.size(axis);
    }
    return last ? MemoryFormat::ChannelsLast : MemoryFormat::Contiguous;
}

// How [N, C, H, W] of a format lies in memory, where a value is `words` words.
inline Grid grid_of(const torch::stable::Tensor& tensor, torch::headeronly::MemoryFormat format,
                    int64_t words) {
    const int64_t channels = tensor.size(1), height = tensor.size(2), width = tensor.size(3);
    if (format == torch::headeronly::MemoryFormat::ChannelsLast) return {1, height, width, channels * words};
    return {channels, height, width, words};
}

// A call's tensors in the format of its images, and its result.
struct Operands {
    torch::headeronly::MemoryFormat format;
    torch::stable::Tensor base, content, out;
    bool patches;

    static Operands of(const torch::stable::Tensor& base, const torch::stable::Tensor& content, bool patches,
                       std::vector<int64_t> size) {
        const auto format = format_of(base);
        const bool colour = content.dim() == 1;
        auto out =
            torch::stable::empty(size, base.scalar_type(), std::nullopt, base.device(), std::nullopt, format);
        return {format, torch::stable::contiguous(base, format),
                colour ? torch::stable::contiguous(content) : torch::stable::contiguous(content, format), out,
                patches};
    }

    static Operands of_occlude(const torch::stable::Tensor& images, const torch::stable::Tensor& boxes,
                               const torch::stable::Tensor& fill) {
        return of(images, fill, false, {boxes.size(0), images.size(1), images.size(2), images.size(3)});
    }

    static Operands of_assemble(const torch::stable::Tensor& base, const torch::stable::Tensor& boxes,
                                const torch::stable::Tensor& patches, const std::vector<int64_t>& size) {
        return of(base, patches, true, {boxes.size(0), base.size(1), size[0], size[1]});
    }

    // What is to be done, with boxes and windows where the backend reads them.
    template <typename Word>
    Assembly<Word> assembly(const Box* boxes, const Window* windows) const {
        const int64_t words = static_cast<int64_t>(base.element_size() / sizeof(Word));
        const Grid image = grid_of(base, format, words);
        return {read<Word>(base), image,       filling<Word>(image, words), boxes,
                windows,          out.size(0), grid_of(out, format, words), write<Word>(out)};
    }

  private:
    template <typename Word>
    Content<Word> filling(const Grid& image, int64_t words) const {
        const auto* from = read<Word>(content);
        if (content.dim() == 1) return Content<Word>::colour(from, image);
        return patches ? Content<Word>::patches(from, grid_of(content, format, words))
                       : Content<Word>::second_images(from, image);
    }
};

// The bits of a number in a type, the lowest first.
inline uint64_t bits_of(double value, torch::headeronly::ScalarType type) {
    using torch::headeronly::ScalarType;
    const auto single = static_cast<float>(value);
    switch (type) {
        case ScalarType::Double:
            return std::bit_cast<uint64_t>(value);
        case ScalarType::Float:
            return std::bit_cast<uint32_t>(single);
        case ScalarType::Half:
            return std::bit_cast<uint16_t>(torch::headeronly::Half(single));
        default:
            return std::bit_cast<uint16_t>(torch::headeronly::BFloat16(single));
    }
}

}  // namespace sam_toolkit
