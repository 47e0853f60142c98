"""What attacks on attributions push up: numbers of a map that sums to its number of pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from sam_toolkit.metrics.growing_sets import Sets

Objective = Literal["top-k", "mass-centre", "target"]
Loss = Callable[[Tensor], Tensor]
"""What is pushed up, `[N]`, as a function of normalised maps `[N, H, W]`."""

_WINDOWS = frozenset({"row-wrap", "flower-window"})


def normalised(maps: Tensor) -> Tensor:
    """Return absolute values of maps `[..., H, W]`, scaled to sum to their number of pixels; zeros stay zeros."""
    maps = maps.abs()
    total = maps.sum((-2, -1), keepdim=True)
    return maps * (maps.shape[-2] * maps.shape[-1] / torch.where(total > 0, total, 1))


def emptied(clean: Tensor, k: int, w: int, released: bool = False) -> Loss:
    """Return what leads away from the k best pixels of clean maps `[N, H, W]`, and those within w rows and columns.

    `released` windows run over the left and right borders into the next row, as in the released code.
    Raises ComponentError where k is more than a map's pixels.
    """
    reach = Sets.of(clean[None], [k], _WINDOWS if released else frozenset()).growing(0, w).reach
    mask = (reach < k).reshape(clean.shape).to(clean)
    return lambda maps: -(maps * mask).sum((-2, -1))


def filled(mask: Tensor) -> Loss:
    """Return what leads into a mask `[N, H, W]`."""
    return lambda maps: (maps * mask).sum((-2, -1))


def moved(clean: Tensor, truncated: bool = False) -> Loss:
    """Return what leads the centre of mass away from that of clean maps `[N, H, W]`.

    At the clean centre itself the squared distance has no gradient. So it is measured from a place near by: one pixel
    back from the corner that is farthest, or, `truncated`, the centre in whole pixels, as the released code has it.
    """
    start = centres(clean)
    if truncated:
        start = start.trunc()
    else:
        middle = (start.new_tensor(clean.shape[-2:]) - 1) / 2
        start = start - torch.where(start <= middle, 1.0, -1.0)
    return lambda maps: (centres(maps) - start).square().sum(-1)


def centres(maps: Tensor) -> Tensor:
    """Return the centres of mass `[N, 2]`, in rows and columns, of normalised maps `[N, H, W]`."""
    height, width = maps.shape[-2:]
    rows, columns = (torch.arange(side, device=maps.device, dtype=maps.dtype) for side in (height, width))
    return torch.stack([maps.sum(-1) @ rows, maps.sum(-2) @ columns], dim=-1) / (height * width)
