#include "assemble.h"

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "../checks.h"
#include "byte_stream.h"

// Every plane of a window is the same sequence of runs: bytes that lie together both in the window and where
// they come from. The runs are found once for a window and copied for each plane, whatever the values are and
// mean.
namespace sam_toolkit {
namespace {

using torch::stable::Tensor;

// Bytes enough for a thread to be worth waking.
constexpr int64_t kBytesPerTask = 1 << 17;

enum Origin { kBase, kContent, kPad, kOrigins };

struct Run {
    Origin origin;
    int64_t offset, bytes;  // in the plane of its origin
};

// The planes that runs are copied from, for one window: where the first begins and the last ends.
struct Planes {
    const std::byte* first;
    const std::byte* end;
    int64_t step;
};

class Runs {
  public:
    void clear() { runs_.clear(); }

    void add(Origin origin, int64_t offset, int64_t bytes) {
        if (bytes == 0) return;
        const bool goes_on = !runs_.empty() && runs_.back().origin == origin && origin != kPad &&
                             runs_.back().offset + runs_.back().bytes == offset;
        if (goes_on)
            runs_.back().bytes += bytes;
        else
            runs_.push_back({origin, offset, bytes});
    }

    void copy(const Planes (&planes)[kOrigins], int64_t plane, ByteStream& out) const {
        const std::byte* from[kOrigins];
        for (int i = 0; i < kOrigins; ++i) from[i] = planes[i].first + plane * planes[i].step;
        for (const Run& run : runs_) {
            const std::byte* begin = from[run.origin] + run.offset;
            out.append(begin, run.bytes, planes[run.origin].end - begin);
        }
    }

  private:
    std::vector<Run> runs_;
};

// The runs of a window, row by row: at most pad, image, content, image, pad.
void find_runs(const Assembly<std::byte>& work, const Box& box, const Window& window, Runs& runs) {
    const int64_t unit = work.image.unit, width = work.shown.width;
    const int64_t x0 = clamped(window.x, 0, work.image.width),
                  x1 = clamped(window.x + width, 0, work.image.width);
    const int64_t box_x0 = clamped(box.x0, x0, x1), box_x1 = clamped(box.x1, x0, x1);
    const int64_t left = clamped(-window.x, 0, width);
    runs.clear();
    for (int64_t y = window.y; y < window.y + work.shown.height; ++y) {
        if (y < 0 || y >= work.image.height) {
            runs.add(kPad, 0, width * unit);
            continue;
        }
        const int64_t row = y * work.image.row();
        runs.add(kPad, 0, left * unit);
        if (box.has_row(y)) {
            const int64_t content = (y - box.y0) * work.content.row + (box_x0 - box.x0) * unit;
            runs.add(kBase, row + x0 * unit, (box_x0 - x0) * unit);
            runs.add(kContent, content, (box_x1 - box_x0) * unit);
            runs.add(kBase, row + box_x1 * unit, (x1 - box_x1) * unit);
        } else {
            runs.add(kBase, row + x0 * unit, (x1 - x0) * unit);
        }
        runs.add(kPad, 0, (width - left - (x1 - x0)) * unit);
    }
}

// `bytes` bytes of the first `period`, again and again.
void repeat(const std::byte* from, int64_t period, int64_t bytes, std::byte* out) {
    std::memcpy(out, from, std::min(period, bytes));
    for (int64_t done = period; done < bytes; done *= 2)
        std::memcpy(out + done, out, std::min(done, bytes - done));
}

// A row of a colour, as long as an image's, for each plane: boxes are copied from it as from all else.
std::vector<std::byte> spread(const Content<std::byte>& colour, const Grid& image) {
    std::vector<std::byte> rows(image.planes * image.row());
    for (int64_t plane = 0; plane < image.planes; ++plane)
        repeat(colour.words + plane * colour.plane, colour.period, image.row(), &rows[plane * image.row()]);
    return rows;
}

class Windows {
  public:
    Windows(const Assembly<std::byte>& work, const std::vector<std::byte>& pad)
        : work_(work), pad_(pad), past_caches_(work.count * work.shown.image() > ByteStream::kLarge) {}

    // Planes `begin` to `end` of all windows' planes.
    void write(int64_t begin, int64_t end) const {
        const int64_t planes = work_.shown.planes, bytes = work_.shown.plane();
        ByteStream out(work_.out + begin * bytes, (end - begin) * bytes, past_caches_);
        Runs runs;
        for (int64_t i = begin; i < end;) {
            const int64_t p = i / planes, last = std::min(end, (p + 1) * planes);
            const Box& box = work_.boxes[p];
            find_runs(work_, box, work_.window(p), runs);
            const Planes from[kOrigins] = {base(box), content(p, box), pad()};
            for (; i < last; ++i) runs.copy(from, i % planes, out);
        }
    }

  private:
    Planes base(const Box& box) const {
        const std::byte* first = work_.base + box.image * work_.image.image();
        return {first, first + work_.image.image(), work_.image.plane()};
    }

    Planes content(int64_t p, const Box& box) const {
        const std::byte* first = work_.content.corner(p, box, work_.image.unit);
        const int64_t rows = (box.y1 - box.y0 - 1) * work_.content.row + (box.x1 - box.x0) * work_.image.unit;
        return {first, first + (work_.image.planes - 1) * work_.content.plane + rows, work_.content.plane};
    }

    Planes pad() const { return {pad_.data(), pad_.data() + pad_.size(), 0}; }

    const Assembly<std::byte>& work_;
    const std::vector<std::byte>& pad_;
    bool past_caches_;
};

Tensor assemble(const Tensor& base, const Tensor& boxes, const Tensor& patches, const Tensor& windows,
                std::vector<int64_t> size, double pad) {
    checks::assemble(base, boxes, patches, windows, size);
    const Operands call = Operands::of_assemble(base, boxes, patches, size);
    const uint64_t bits = bits_of(pad, base.scalar_type());
    assemble_all(call.assembly<std::byte>(read<Box>(boxes), read<Window>(windows)),
                 reinterpret_cast<const std::byte*>(&bits), base.element_size());
    return call.out;
}

}  // namespace

void assemble_all(const Assembly<std::byte>& given, const std::byte* pad, int64_t pad_bytes) {
    Assembly<std::byte> work = given;
    const int64_t bytes = work.shown.plane();
    if (work.count * work.shown.image() == 0) return;
    std::vector<std::byte> colours, pads(work.shown.row());
    repeat(pad, pad_bytes, work.shown.row(), pads.data());
    if (work.content.period != 0) {
        colours = spread(work.content, work.image);
        work.content = {colours.data(), 0, 0, work.image.row(), 0, 0, false};
    }
    const Windows windows(work, pads);
    torch::stable::parallel_for(0, work.count * work.shown.planes,
                                std::max<int64_t>(1, kBytesPerTask / bytes),
                                [&](int64_t begin, int64_t end) { windows.write(begin, end); });
}

STABLE_TORCH_LIBRARY_IMPL(sam_toolkit, CPU, library) {
    library.impl("assemble", TORCH_BOX(&assemble));
}

}  // namespace sam_toolkit
