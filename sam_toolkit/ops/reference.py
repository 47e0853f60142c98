"""The operators in plain PyTorch: any device and dtype, differentiable, and short enough to check by eye.

Arguments are those of the compiled operators, as `sam_toolkit.ops` hands them over: already checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

_LUMINANCE, _CONTRAST = 0.01, 0.03


def occlude(images: Tensor, boxes: Tensor, fill: Tensor) -> Tensor:
    """Return `[P, C, H, W]`: each box's image, the box replaced by `fill` (`[C]` or `[N, C, H, W]`)."""
    source = boxes[:, 0].to(images.device)
    hidden = _both(*_inside(boxes.to(images.device), images.shape[2], images.shape[3]))
    return torch.where(hidden, fill[:, None, None] if fill.dim() == 1 else fill[source], images[source])


def assemble(base: Tensor, boxes: Tensor, patches: Tensor, windows: Tensor, size: Sequence[int], pad: float) -> Tensor:
    """Return `[P, C, *size]`: what a window shows of its image, the box replaced by the patch.

    `base` `[N, C, H, W]`, `patches` `[P, C, h, w]`; `windows` `[P, 2]` says which (y, x) comes first, and what lies
    outside the image is `pad`.
    """
    image, y0, x0, y1, x1 = boxes.to(base.device).unbind(1)
    y, x = (
        windows[:, axis, None].to(base.device) + torch.arange(length, device=base.device)
        for axis, length in enumerate(size)
    )
    in_box = _both((y0[:, None] <= y) & (y < y1[:, None]), (x0[:, None] <= x) & (x < x1[:, None]))
    in_image = _both((y >= 0) & (y < base.shape[2]), (x >= 0) & (x < base.shape[3]))
    shown = _pixels(base, image, y, x)
    changed = _pixels(patches, torch.arange(len(patches), device=base.device), y - y0[:, None], x - x0[:, None])
    return torch.where(in_image, torch.where(in_box, changed, shown), pad)


def _both(rows: Tensor, columns: Tensor) -> Tensor:
    """Return where rows `[P, H]` and columns `[P, W]` hold, for all channels: `[P, 1, H, W]`."""
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def _pixels(images: Tensor, which: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Return `[P, C, H, W]`: rows y `[P, H]` and columns x `[P, W]` of images `which`; outside, the nearest."""
    y, x = y.clamp(0, images.shape[2] - 1), x.clamp(0, images.shape[3] - 1)
    return images[which[:, None, None], :, y[:, :, None], x[:, None, :]].permute(0, 3, 1, 2)


def occlusion_map(scores: Tensor, boxes: Tensor, images: int, height: int, width: int) -> Tensor:
    """Return `[N, H, W]`: the mean score `[P]` of the boxes over each pixel, 0 where there is none."""
    boxes = boxes.to(scores.device)
    rows, columns = (side.double() for side in _inside(boxes, height, width))
    maps = scores.new_zeros((images, height, width), dtype=torch.float64)
    for image in range(images):
        own = boxes[:, 0] == image
        totals = (rows[own] * scores[own, None]).T @ columns[own]
        covering = rows[own].T @ columns[own]
        maps[image] = totals / covering.clamp(min=1)
    return maps.to(scores.dtype)


def _inside(boxes: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return which rows `[P, H]` and which columns `[P, W]` each box covers."""
    _, y0, x0, y1, x1 = boxes[:, :, None].unbind(1)
    y, x = torch.arange(height, device=boxes.device), torch.arange(width, device=boxes.device)
    return (y0 <= y) & (y < y1), (x0 <= x) & (x < x1)


def ssim(maps: Tensor, pairs: Tensor, taps: Sequence[float], data_range: float, sample_covariance: bool) -> Tensor:
    """Return `[B, P]`: the mean of `ssim_map` over whole windows."""
    result = _similarity(maps, pairs, taps, data_range, sample_covariance).mean(dim=(2, 3))
    return result.to(result_type(maps))


def ssim_map(maps: Tensor, pairs: Tensor, taps: Sequence[float], data_range: float, sample_covariance: bool) -> Tensor:
    """Return `[B, P, H', W']`: SSIM (Wang et al., 2004) of pairs of maps `[B, K, H, W]` at each whole window."""
    return _similarity(maps, pairs, taps, data_range, sample_covariance).to(result_type(maps))


def ssim_backward(
    gradient: Tensor, maps: Tensor, pairs: Tensor, taps: Sequence[float], data_range: float, sample_covariance: bool
) -> Tensor:
    """Return the gradient of `maps` from that of `ssim` `[B, P]` or of `ssim_map` `[B, P, H', W']`."""
    op = ssim if gradient.dim() == 2 else ssim_map
    pull_back = torch.func.vjp(lambda varied: op(varied, pairs, taps, data_range, sample_covariance), maps)[1]
    result: Tensor = pull_back(gradient)[0]
    return result


def result_type(maps: Tensor) -> torch.dtype:
    """Return the dtype of the similarity of `maps`."""
    return torch.float64 if maps.dtype == torch.float64 else torch.float32


def _similarity(
    maps: Tensor, pairs: Tensor, taps: Sequence[float], data_range: float, sample_covariance: bool
) -> Tensor:
    """Return SSIM at each window in float64, from maps without their own mean: an offset costs no digits."""
    values = maps.double()
    offset = values.mean(dim=(2, 3), keepdim=True)
    values = values - offset
    scale = len(taps) ** 2 / (len(taps) ** 2 - 1) if sample_covariance else 1.0
    shifted = _window_mean(values, taps)
    variance = (scale * (_window_mean(values**2, taps) - shifted**2)).clamp(min=0)
    a, b = pairs.to(maps.device).unbind(1)
    product = _window_mean(values[:, a] * values[:, b], taps)
    covariance = scale * (product - shifted[:, a] * shifted[:, b])
    mean = shifted + offset
    c1, c2 = (_LUMINANCE * data_range) ** 2, (_CONTRAST * data_range) ** 2
    luminance = (2 * mean[:, a] * mean[:, b] + c1) / (mean[:, a] ** 2 + mean[:, b] ** 2 + c1)
    contrast = (2 * covariance + c2) / (variance[:, a] + variance[:, b] + c2)
    return luminance * contrast


def _window_mean(values: Tensor, taps: Sequence[float]) -> Tensor:
    """Return the weighted mean over each whole window of T x T: `[B, K, H - T + 1, W - T + 1]`."""
    for axis in (2, 3):
        length = values.shape[axis] - len(taps) + 1
        shifted = (tap * values.narrow(axis, start, length) for start, tap in enumerate(taps))
        values = reduce(torch.add, shifted)
    return values
