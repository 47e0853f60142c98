"""Structural similarity of many pairs of maps at once."""

from __future__ import annotations

import math

from torch import Tensor

from sam_toolkit.ops import _checks, _library

_TRUNCATE = 3.5


def ssim(
    maps: Tensor,
    pairs: Tensor,
    window: int = 5,
    sigma: float | None = None,
    data_range: float = 2.0,
    sample_covariance: bool = True,
) -> Tensor:
    """Return the mean SSIM of pairs of maps, `[P]` or `[B, P]`: at most 1, NaN where a map is not finite.

    Wang et al. (2004), "Image quality assessment: from error visibility to structural similarity", with the
    borders and constants of scikit-image: K1 = 0.01, K2 = 0.03, the mean over windows wholly inside the map.
    Computed in float64 whatever the dtype; the statistics of a map are computed once for all its pairs.

    Args:
        maps: `[K, H, W]`, or `[B, K, H, W]` for the same pairs of each of B images; gradients reach them.
        pairs: int64 `[P, 2]`, indices into K.
        window: side of the uniform window, odd and at least 3; ignored where `sigma` is given.
        sigma: standard deviation of a Gaussian window instead, cut off at 3.5 sigma (1.5 gives 11 x 11).
        data_range: largest less smallest value that a map can have.
        sample_covariance: divide by NP - 1 (scikit-image's default) or by NP (Wang et al.) window pixels.

    Raises:
        OpError: where a shape, dtype or value breaks a rule, or a map is smaller than the window.
    """
    _checks.floating("ssim", "maps", "[K, H, W] or [B, K, H, W]", maps, 3, 4)
    batch = maps if maps.dim() == 4 else maps[None]
    rows = _checks.pairs("ssim", pairs, batch.shape[1])
    positive = math.isfinite(data_range) and data_range > 0
    _checks.require(positive, "ssim", "data_range must be positive and finite", data_range)
    taps = _uniform_taps(window) if sigma is None else _gaussian_taps(sigma)
    fits = f"maps must be at least as large as the window, {len(taps)} x {len(taps)}"
    _checks.require(len(taps) <= min(batch.shape[2:]), "ssim", fits, f"{batch.shape[2]} x {batch.shape[3]}")
    result = _library.call("ssim", batch, rows, taps, float(data_range), sample_covariance)
    return result if maps.dim() == 4 else result[0]


def _uniform_taps(window: int) -> list[float]:
    _checks.require(window >= 3 and window % 2 == 1, "ssim", "window must be odd and at least 3", window)
    return [1 / window] * window


def _gaussian_taps(sigma: float) -> list[float]:
    radius = int(_TRUNCATE * sigma + 0.5) if math.isfinite(sigma) else 0
    _checks.require(radius >= 1, "ssim", "sigma must be finite and at least 1/7, a window of 3 x 3", sigma)
    weights = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in range(-radius, radius + 1)]
    return [weight / math.fsum(weights) for weight in weights]
