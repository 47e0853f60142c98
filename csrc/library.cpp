#include <torch/csrc/stable/library.h>

// The schema of every operator, once. Kernels register themselves per backend; fake kernels and gradients are
// Python's (sam_toolkit/ops). Boxes, windows and pairs are on the CPU whatever the backend: they are checked
// there without waiting for an accelerator.
STABLE_TORCH_LIBRARY(sam_toolkit, library) {
    library.def("occlude(Tensor images, Tensor boxes, Tensor fill) -> Tensor");
    library.def(
        "assemble(Tensor base, Tensor boxes, Tensor patches, Tensor windows, int[] size, float pad) -> "
        "Tensor");
    library.def("occlusion_map(Tensor scores, Tensor boxes, int images, int height, int width) -> Tensor");
    library.def(
        "ssim(Tensor maps, Tensor pairs, float[] taps, float data_range, bool sample_covariance) -> Tensor");
    library.def(
        "ssim_map(Tensor maps, Tensor pairs, float[] taps, float data_range, bool sample_covariance) -> "
        "Tensor");
    library.def(
        "ssim_backward(Tensor gradient, Tensor maps, Tensor pairs, float[] taps, float data_range,"
        " bool sample_covariance) -> Tensor");
    library.def("descending_order(Tensor maps) -> Tensor");
    library.def("average_ranks(Tensor maps) -> Tensor");
    library.def("kendall(Tensor maps, Tensor pairs) -> Tensor");
    library.def("diverse_picks(Tensor order, int height, int width, int window, int count) -> Tensor");
    library.def("reach(Tensor picks, int height, int width, int window) -> Tensor");
    library.def("overlaps(Tensor reach, Tensor picks, Tensor pairs, int[] counts) -> Tensor");
}
