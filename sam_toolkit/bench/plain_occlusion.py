"""Occlusion in the plain PyTorch that a user would write."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def copy_and_assign(image: Tensor, boxes: Tensor, fill: float | Tensor) -> Tensor:
    """Return `[P, C, H, W]`: copies of the image `[1, C, H, W]`, then a box at a time."""
    copies = image.repeat(len(boxes), 1, 1, 1)
    for copy, (_, y0, x0, y1, x1) in zip(copies, boxes.tolist(), strict=True):
        copy[:, y0:y1, x0:x1] = fill[0, :, y0:y1, x0:x1] if isinstance(fill, Tensor) else fill
    return copies


def masks(boxes: Tensor, image: Tensor) -> Tensor:
    """Return `[P, 1, H, W]`: True inside each box."""
    rows, columns = _inside(boxes, image)
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def where(image: Tensor, hidden: Tensor, fill: float | Tensor) -> Tensor:
    """Return `[P, C, H, W]`: the image where the masks are False, the fill where they are True."""
    return torch.where(hidden, fill, image)


def assemble(base: Tensor, patches: Tensor, windows: Tensor, margin: int) -> Tensor:
    """Return `[P, C, h + 2 m, w + 2 m]`: windows of the base `[1, C, H, W]`, the patches inside their margin m."""
    side = patches.shape[2] + 2 * margin
    views = functional.pad(base, [margin] * 4)[0].unfold(1, side, 1).unfold(2, side, 1)
    y, x = (windows + margin).to(base.device).unbind(1)
    found = views.permute(1, 2, 0, 3, 4)[y, x]
    found[:, :, margin:-margin, margin:-margin] = patches
    return found


def map_by_loop(scores: Tensor, boxes: Tensor, size: tuple[int, int, int]) -> Tensor:
    """Return `[1, H, W]`: the mean score over each pixel, a box at a time."""
    totals, counts = scores.new_zeros(size), scores.new_zeros(size)
    for score, (_, y0, x0, y1, x1) in zip(scores, boxes.tolist(), strict=True):
        totals[0, y0:y1, x0:x1] += score
        counts[0, y0:y1, x0:x1] += 1
    return totals / counts.clamp(min=1)


def map_by_product(scores: Tensor, boxes: Tensor, size: tuple[int, int, int]) -> Tensor:
    """Return `[1, H, W]`: the same by two matrix products."""
    rows, columns = (side.to(scores.dtype) for side in _inside(boxes, scores.new_empty(size)))
    totals, counts = (rows * scores[:, None]).T @ columns, rows.T @ columns
    return (totals / counts.clamp(min=1))[None]


def _inside(boxes: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
    """Return which rows `[P, H]` and which columns `[P, W]` each box covers."""
    _, y0, x0, y1, x1 = boxes.to(image.device)[:, :, None].unbind(1)
    y, x = (torch.arange(side, device=image.device) for side in image.shape[-2:])
    return (y0 <= y) & (y < y1), (x0 <= x) & (x < x1)
