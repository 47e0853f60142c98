"""Structural similarity of many pairs of maps at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sam_toolkit.ops import _checks, _library

_UNIFORM_WINDOW = 5
_GAUSSIAN_SIGMA = 1.5
_TRUNCATE = 3.5


def ssim(
    maps: Tensor,
    pairs: Tensor,
    window: int | None = None,
    gaussian: bool | float = False,
    data_range: float = 2.0,
    sample_covariance: bool = True,
) -> Tensor:
    """Return the mean SSIM of pairs of maps, `[P]` or `[B, P]`: at most 1, NaN where a map is not finite.

    Wang et al. (2004), "Image quality assessment: from error visibility to structural similarity", with the
    borders and constants of scikit-image: K1 = 0.01, K2 = 0.03, the mean over windows wholly inside the map.
    The statistics of a map are computed once for all its pairs, and only the product of two maps for each pair;
    sums are in float64 (for float16 and bfloat16 maps on an accelerator, in float32). The result is float64 for
    float64 maps and else float32.

    Args:
        maps: `[K, H, W]`, or `[B, K, H, W]` for the same pairs of each of B images; gradients reach them.
        pairs: int64 `[P, 2]`, indices into K.
        window: side in pixels, odd and at least 3; left out, 5, or what 3.5 sigma to each side span.
        gaussian: weigh a window's pixels by a Gaussian: True for a sigma of 1.5 (11 x 11), or its sigma in pixels.
        data_range: largest less smallest value that a map can have.
        sample_covariance: divide by NP - 1 (scikit-image's default) or by NP (Wang et al.) window pixels.

    Raises:
        OpError: where a shape, dtype or value breaks a rule, or a map is smaller than the window.
    """
    return _call("ssim", maps, pairs, _taps("ssim", window, gaussian), data_range, sample_covariance)


def ssim_map(
    maps: Tensor,
    pairs: Tensor,
    window: int | None = None,
    gaussian: bool | float = False,
    data_range: float = 2.0,
    sample_covariance: bool = True,
) -> Tensor:
    """Return the SSIM at each window, `[P, H - w + 1, W - w + 1]` or `[B, P, ...]`, whose mean is `ssim`.

    Arguments and errors are those of `ssim`; w is the side of the window. Place (y, x) is the window from row y and
    column x on, centred at (y + w // 2, x + w // 2).
    """
    return _call("ssim_map", maps, pairs, _taps("ssim_map", window, gaussian), data_range, sample_covariance)


def _call(
    op: str, maps: Tensor, pairs: Tensor, taps: list[float], data_range: float, sample_covariance: bool
) -> Tensor:
    """Return what the operator makes of checked maps, which the kernel gets as `[B, K, H, W]` in a dtype it reads."""
    _checks.floating(op, "maps", "[K, H, W] or [B, K, H, W]", maps, 3, 4)
    batch = maps if maps.dim() == 4 else maps[None]
    rows = _checks.pairs(op, pairs, batch.shape[1])
    fits = f"maps must be at least as large as the window, {len(taps)} x {len(taps)}"
    _checks.require(len(taps) <= min(batch.shape[2:]), op, fits, f"{batch.shape[2]} x {batch.shape[3]}")
    positive = math.isfinite(data_range) and data_range > 0
    _checks.require(positive, op, "data_range must be positive and finite", data_range)
    half_on_cpu = batch.device.type == "cpu" and batch.dtype not in (torch.float32, torch.float64)
    known = batch.float() if half_on_cpu else batch
    result = _library.call(op, known, rows, taps, float(data_range), sample_covariance)
    return result if maps.dim() == 4 else result[0]


def _taps(op: str, window: int | None, gaussian: bool | float) -> list[float]:
    """Return the weights along one side of the window; they add up to 1."""
    sigma = _GAUSSIAN_SIGMA if gaussian is True else float(gaussian)
    whole = math.isfinite(sigma) and (gaussian is False or int(_TRUNCATE * sigma + 0.5) >= 1)
    _checks.require(whole, op, "gaussian must be True, False or a sigma of at least 1/7", gaussian)
    usual = 2 * int(_TRUNCATE * sigma + 0.5) + 1 if sigma else _UNIFORM_WINDOW
    side = usual if window is None else window
    _checks.require(side >= 3 and side % 2 == 1, op, "window must be odd and at least 3", side)
    offsets = range(-(side // 2), side // 2 + 1)
    weights = [math.exp(-0.5 * (offset / sigma) ** 2) if sigma else 1.0 for offset in offsets]
    return [weight / math.fsum(weights) for weight in weights]
