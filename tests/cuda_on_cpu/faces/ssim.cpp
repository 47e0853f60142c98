#include "../../../csrc/cuda/ssim_backward_kernel.cu"
#include "../../../csrc/cuda/ssim_kernel.cu"
#include "face.h"

namespace {

using namespace sam_toolkit;

// `sizes` are images, maps of an image, height, width and taps; `scales` are one over the data range and the
// scale of covariances. The statistics are workspace.
template <typename Number>
SsimMaps<Number> prepare(const typename Number::Value* values, const int64_t* sizes,
                         const typename Number::Sum* taps, const typename Number::Sum* scales,
                         typename Number::Sum* offsets, typename Number::Sum* means,
                         typename Number::Ratio* contrasts) {
    Taps<typename Number::Sum> weights{.count = static_cast<int>(sizes[4]), .all = taps};
    std::copy_n(taps, std::min(weights.count, weights.kMost), weights.few);
    SsimMaps<Number> maps{values,
                          sizes[0],
                          sizes[1],
                          static_cast<int>(sizes[2]),
                          static_cast<int>(sizes[3]),
                          weights,
                          scales[0],
                          scales[1],
                          offsets,
                          means,
                          contrasts};
    launch_ssim_statistics(maps, nullptr);
    return maps;
}

template <typename Number>
cudaError_t compare(const typename Number::Value* values, const int64_t* sizes,
                    const typename Number::Sum* taps, const typename Number::Sum* scales,
                    typename Number::Sum* offsets, typename Number::Sum* means,
                    typename Number::Ratio* contrasts, const SsimGroup* groups, int64_t group_count,
                    const SsimPartner* partners, int64_t pairs, int64_t whole, double* partials,
                    typename Number::Ratio* out) {
    const auto maps = prepare<Number>(values, sizes, taps, scales, offsets, means, contrasts);
    const SsimOutput<Number> output =
        whole ? SsimOutput<Number>{nullptr, nullptr, out} : SsimOutput<Number>{out, partials, nullptr};
    return launch_ssim(maps, {groups, partners, group_count, pairs}, output, nullptr);
}

template <typename Number>
cudaError_t pull_back(const typename Number::Value* values, const int64_t* sizes,
                      const typename Number::Sum* taps, const typename Number::Sum* scales,
                      typename Number::Sum* offsets, typename Number::Sum* means,
                      typename Number::Ratio* contrasts, const typename Number::Ratio* given, int64_t whole,
                      const int64_t* pairs, int64_t count, const SsimPart* parts, const int64_t* begins,
                      typename Number::Sum* fields, typename Number::Value* out) {
    const auto maps = prepare<Number>(values, sizes, taps, scales, offsets, means, contrasts);
    const SsimGradient<Number> gradient{given, whole != 0, count,  pairs, count,
                                        parts, begins,     fields, out,   false};
    return launch_ssim_backward(maps, gradient, nullptr);
}

}  // namespace

CUDA_ON_CPU_FACE(ssim_halves, compare<Halves>)
CUDA_ON_CPU_FACE(ssim_singles, compare<Singles>)
CUDA_ON_CPU_FACE(ssim_doubles, compare<Doubles>)
CUDA_ON_CPU_FACE(ssim_backward_halves, pull_back<Halves>)
CUDA_ON_CPU_FACE(ssim_backward_singles, pull_back<Singles>)
CUDA_ON_CPU_FACE(ssim_backward_doubles, pull_back<Doubles>)
