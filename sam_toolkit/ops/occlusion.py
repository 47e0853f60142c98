"""Images with a box hidden or replaced, and the map of what hiding did to a score."""

from __future__ import annotations

import torch
from torch import Tensor

from sam_toolkit.ops import _checks, _library


def occlude(images: Tensor, boxes: Tensor, fill: float | Tensor = 0.0) -> Tensor:
    """Return `[P, C, H, W]`: for each box, a copy of its image with the box replaced by the fill.

    The copies have the dtype and the layout (contiguous, or channels last) of `images`.

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


def assemble(
    base: Tensor, boxes: Tensor, patches: Tensor, windows: Tensor, size: tuple[int, int], pad: float = 0.0
) -> Tensor:
    """Return `[P, C, *size]`: for each box, what a window shows of its image with the box replaced by a patch.

    This is what a convolution reads where an occluded patch has changed part of an activation. The result has the
    dtype and the layout (contiguous, or channels last) of `base`; `occlude` is the case of windows that show all.

    Args:
        base: `[N, C, H, W]`, floating-point, such as the activation of the clean image; gradients reach it.
        boxes: int64 `[P, 5]` of (image, y0, x0, y1, x1), ends exclusive, all of one size (h, w).
        patches: `[P, C, h, w]`, what each box holds instead; gradients reach them.
        windows: int64 `[P, 2]` of (y, x), where each window begins; it may leave the image.
        size: (height, width) of the windows.
        pad: what a window shows outside the image.

    Raises:
        OpError: where a shape or dtype is wrong, or a box is empty, leaves its image or does not fit the patches.
    """
    _checks.floating("assemble", "base", "[N, C, H, W]", base, 4)
    _checks.floating("assemble", "patches", "[P, C, h, w]", patches, 4)
    rows = _checks.boxes("assemble", boxes, (len(base), *base.shape[2:]))
    starts = _checks.table("assemble", "windows", "[P, 2] of (y, x)", 2, windows)
    sensible = len(size) == 2 and min(size) > 0
    _checks.require(sensible, "assemble", "size must be (height, width), each at least 1", size)
    each = f"{len(rows)} boxes, {len(starts)} windows, {len(patches)} patches"
    one_each = len(rows) == len(starts) == len(patches)
    _checks.require(one_each, "assemble", "boxes, windows and patches must be as many", each)
    same = patches.shape[1] == base.shape[1]
    _checks.require(same, "assemble", f"patches must have {base.shape[1]} channels, as base", list(patches.shape))
    _checks.sides("assemble", rows, (patches.shape[2], patches.shape[3]))
    return _library.call("assemble", base, rows, patches.to(base), starts, list(size), float(pad))


def occlusion_map(scores: Tensor, boxes: Tensor, size: tuple[int, int, int]) -> Tensor:
    """Return `[N, H, W]`: at each pixel the mean score of the boxes over it, 0 where there is none.

    Kernels sum scores as whole multiples of a power of two, some 2**-46 of the largest where an image has thousands of
    boxes, and less where it has fewer. Such sums are exact: neither order nor number of threads shows.

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
    return _library.call("occlusion_map", scores, rows, *size)
