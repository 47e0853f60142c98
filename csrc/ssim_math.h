#pragma once

#include "portable.h"

namespace sam_toolkit {

// What a map contributes to SSIM at one window: the mean, the mean after the map's own mean was taken off
// (which keeps the covariance from cancelling), and the variance.
struct WindowMoments {
    double mean, shifted_mean, variance;
};

// SSIM of Wang et al. (2004), with the constants and the sample covariance as scikit-image has them.
struct SsimFormula {
    double luminance_constant, contrast_constant, covariance_scale;

    static SsimFormula of(double data_range, int taps, bool sample_covariance) {
        const double luminance = 0.01 * data_range, contrast = 0.03 * data_range;
        const double pixels = static_cast<double>(taps) * taps;
        return {luminance * luminance, contrast * contrast, sample_covariance ? pixels / (pixels - 1) : 1.0};
    }

    // Variance, or covariance, from the window's mean of products and the two shifted means.
    SAM_HOST_DEVICE double covariance(double mean_product, double first_mean, double second_mean) const {
        return covariance_scale * (mean_product - first_mean * second_mean);
    }

    SAM_HOST_DEVICE double similarity(const WindowMoments& a, const WindowMoments& b,
                                      double mean_product) const {
        const double both = covariance(mean_product, a.shifted_mean, b.shifted_mean);
        const double luminance = 2 * a.mean * b.mean + luminance_constant;
        const double contrast = 2 * both + contrast_constant;
        const double luminance_limit = a.mean * a.mean + b.mean * b.mean + luminance_constant;
        const double contrast_limit = a.variance + b.variance + contrast_constant;
        return luminance * contrast / (luminance_limit * contrast_limit);
    }
};

}  // namespace sam_toolkit
