"""Images with a box hidden, and the map of what hiding did to a score."""

from __future__ import annotations

import torch
from torch import Tensor

from sam_toolkit.ops import _checks, _library


def occlude(images: Tensor, boxes: Tensor, fill: float | Tensor = 0.0) -> Tensor:
    """Return `[P, C, H, W]`: for each box, a copy of its image with the box replaced by the fill.

    Args:
        images: `[N, C, H, W]`, floating-point; gradients reach what no box hides.
        boxes: int64 `[P, 5]` of (image, y0, x0, y1, x1), ends exclusive; sizes may differ.
        fill: one value, one per channel `[C]`, or a second image each `[N, C, H, W]` (blurred, noise).

    Raises:
        OpError: where a shape or dtype is wrong, or a box is empty or leaves its image.
    """
    _checks.floating("occlude", "images", "[N, C, H, W]", images, 4)
    count, channels, height, width = images.shape
    rows = _checks.boxes("occlude", boxes, (count, height, width))
    if not isinstance(fill, Tensor):
        filling = images.new_full((channels,), fill)
    else:
        fits = fill.shape in ((channels,), images.shape)
        rule = f"fill must be a number, [C] = [{channels}] or [N, C, H, W] = {list(images.shape)}"
        _checks.require(fits, "occlude", rule, list(fill.shape))
        filling = fill.to(images)
    return _library.call("occlude", images, rows, filling)


def occlusion_map(scores: Tensor, boxes: Tensor, size: tuple[int, int, int]) -> Tensor:
    """Return `[N, H, W]`: at each pixel the mean score of the boxes over it, 0 where there is none.

    Scores are summed on the CPU, in float64 and a fixed order, so that all devices and thread counts agree.

    Args:
        scores: `[P]`, floating-point and finite: what hiding each box did; gradients reach them.
        boxes: int64 `[P, 5]` of (image, y0, x0, y1, x1), ends exclusive.
        size: (N, H, W) of the map.

    Raises:
        OpError: where a shape or dtype is wrong, or a box is empty or leaves its image.
    """
    _checks.floating("occlusion_map", "scores", "[P]", scores, 1)
    sensible = len(size) == 3 and min(size) > 0
    _checks.require(sensible, "occlusion_map", "size must be (N, H, W), each at least 1", size)
    rows = _checks.boxes("occlusion_map", boxes, size)
    one_each = f"{len(scores)} scores for {len(rows)} boxes"
    _checks.require(len(scores) == len(rows), "occlusion_map", "scores must give one value a box", one_each)
    wrong = scores[~torch.isfinite(scores)]
    _checks.require(len(wrong) == 0, "occlusion_map", "scores must be finite", wrong.tolist())
    return _library.call("occlusion_map", scores.cpu(), rows, *size).to(scores.device)
