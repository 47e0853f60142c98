"""The operators in plain PyTorch: any device and dtype, differentiable, and short enough to check by eye.

Arguments are those of the compiled operators, as `sam_toolkit.ops` hands them over: already checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional

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


def descending_order(maps: Tensor) -> Tensor:
    """Return the pixels `[B, n]`, int32: the largest value first, of equal ones the lower index."""
    return torch.sort(maps, dim=-1, descending=True, stable=True).indices.int()


def average_ranks(maps: Tensor) -> Tensor:
    """Return the ranks `[B, n]`, float64, the mean rank for equal values; NaN for a map with one."""
    values, order = torch.sort(maps, dim=-1)
    ties = _dense(values)
    sizes = torch.zeros_like(ties).scatter_add(1, ties, torch.ones_like(ties))
    means = sizes.cumsum(-1) - (sizes - 1).double() / 2
    ranks = torch.empty_like(means).scatter(1, order, means.gather(1, ties))
    return ranks.masked_fill(maps.isnan().any(dim=-1, keepdim=True), torch.nan)


def kendall(maps: Tensor, pairs: Tensor) -> Tensor:
    """Return Kendall's tau-b `[B, P]` of pairs of maps `[B, K, n]`, by counting inversions bit by bit."""
    a, b = (maps[:, side].flatten(0, 1) for side in pairs.to(maps.device).unbind(1))
    dense = [torch.empty_like(x, dtype=torch.int64).scatter(1, o, _dense(v)) for x in (a, b) for v, o in [x.sort(-1)]]
    joint = dense[0] * maps.shape[-1] + dense[1]
    in_order = joint.sort(dim=-1).values
    every = maps.shape[-1] * (maps.shape[-1] - 1) // 2
    tied_a, tied_b, tied_both = (_tied(ranks.sort(-1).values) for ranks in (*dense, joint))
    difference = every - tied_a - tied_b + tied_both - 2 * _inversions(in_order % max(maps.shape[-1], 1))
    untied = (every - tied_a).double() * (every - tied_b).double()
    undefined = (untied == 0) | a.isnan().any(-1) | b.isnan().any(-1)
    tau = torch.where(undefined, torch.nan, difference / untied.sqrt())
    return tau.reshape(maps.shape[0], len(pairs))


def _dense(ascending: Tensor) -> Tensor:
    """Return how many different values `[B, n]` come before each."""
    new = ascending[..., 1:] != ascending[..., :-1]
    return functional.pad(new.long().cumsum(-1), (1, 0))


def _tied(ascending: Tensor) -> Tensor:
    """Return how many pairs of the values `[B, n]` are equal."""
    ties = _dense(ascending)
    sizes = torch.zeros_like(ties).scatter_add(1, ties, torch.ones_like(ties))
    return (sizes * (sizes - 1) // 2).sum(-1)


def _inversions(ranks: Tensor) -> Tensor:
    """Return how many pairs of `ranks` `[B, n]`, from 0 to n - 1, stand in descending order."""
    count = torch.zeros_like(ranks[:, 0])
    for bit in reversed(range(max(ranks.shape[-1] - 1, 0).bit_length())):
        # Ranks that agree in the higher bits stand together; of these, a 1 before a 0 is an inversion.
        ones = (ranks >> bit) & 1
        before = ones.cumsum(-1) - ones
        group = _dense(ranks >> (bit + 1))
        start = torch.full_like(before, ranks.shape[-1]).scatter_reduce(1, group, before, "amin")
        count += ((1 - ones) * (before - start.gather(1, group))).sum(-1)
        ranks = ranks.gather(1, torch.sort(ranks >> bit, dim=-1, stable=True).indices)
    return count


def diverse_picks(order: Tensor, height: int, width: int, window: int, count: int) -> Tensor:
    """Return the first picks `[B, count]` of the greedy scan, found all over the map at once.

    A pixel that comes first within its window, among those not decided on, is a pick and rules its window out.
    """
    maps, length = order.shape
    places = torch.arange(length, device=order.device).expand(maps, -1)
    rank = torch.full((maps, height * width), torch.inf, dtype=torch.float64, device=order.device)
    rank = rank.scatter(1, order.long(), places.double()).reshape(maps, height, width)
    waiting, picked = rank, torch.full_like(rank, torch.inf)
    while bool(waiting.isfinite().any()):
        chosen = (waiting == _minimum(waiting, window)) & waiting.isfinite()
        picked = torch.where(chosen, rank, picked)
        near = _minimum(torch.where(chosen, 0.0, torch.inf), window) == 0
        waiting = waiting.masked_fill(near, torch.inf)
    first, pixels = picked.flatten(1).sort(dim=-1)
    picks = torch.where(first.isfinite(), pixels, -1)[:, :count].int()
    return functional.pad(picks, (0, count - picks.shape[1]), value=-1)


def reach(picks: Tensor, height: int, width: int, window: int) -> Tensor:
    """Return `[B, H * W]`, int32: the place of the first of picks `[B, m]` in each pixel's window, or else m."""
    maps, length = picks.shape
    places = torch.arange(length, device=picks.device).expand(maps, -1)
    first = torch.full((maps, height * width + 1), length, device=picks.device)
    first = first.scatter_reduce(1, picks.long() % (height * width + 1), places, "amin")[:, :-1]
    return _minimum(first.reshape(maps, height, width).double(), window).flatten(1).int()


def _minimum(values: Tensor, window: int) -> Tensor:
    """Return the minimum of `[B, H, W]` in each pixel's window, which ends at the borders."""
    side = 2 * window + 1
    rows = functional.max_pool2d(-values[:, None], (1, side), 1, (0, window))
    return -functional.max_pool2d(rows, (side, 1), 1, (window, 0))[:, 0]


def overlaps(reach: Tensor, picks: Tensor, pairs: Tensor, counts: Sequence[int]) -> Tensor:
    """Return `[B, P, C]`: of the second map's first c picks those that the first map's first c picks reach."""
    a, b = pairs.to(reach.device).unbind(1)
    length = picks.shape[-1]
    of_second = picks[:, b].long()
    entered = torch.maximum(
        reach[:, a].gather(-1, of_second.clamp(min=0)), torch.arange(length, device=picks.device)
    ).masked_fill(of_second < 0, length)
    wanted = torch.tensor(list(counts), device=reach.device).expand(*entered.shape[:2], -1).contiguous()
    return torch.searchsorted(entered.sort(-1).values, wanted)
