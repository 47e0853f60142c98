"""LENS over every k or every w at once, for about what one value costs."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from scipy.ndimage import distance_transform_cdt
from torch import Tensor

from sam_toolkit import ops
from sam_toolkit.errors import ComponentError
from sam_toolkit.metrics.growing_sets import Sets, top_k_mask

Measure = Literal["recall", "precision"]


def lens_over_k(a: Tensor, b: Tensor, w: int = 1, of: Measure = "recall", diverse: bool = False) -> Tensor:
    """Return the w-LENS-recall or -precision of maps `[N, H, W]` or `[H, W]` for each k from 1 to H * W, last.

    Shapes are `[N, H * W]` or `[H * W]`, float64; w = 0 gives the top-k intersection. Diverse sets count by what they
    found. NaN for a map with a NaN. Raises ComponentError where shapes differ or w is negative.
    """
    first, second = _maps(a, b, of)
    if w < 0:
        raise ComponentError(f"lens_over_k: w must be at least 0; got {w}.")
    pixels = first.shape[-2] * first.shape[-1]
    sets = Sets.of(torch.stack([first, second]), [pixels]).growing(w if diverse else 0, w)
    hits = ops.overlaps(sets.reach, sets.picks, torch.tensor([[0, 1]]), range(1, pixels + 1))[:, 0]
    found = (sets.picks[:, 1] >= 0).cumsum(-1)
    values = (hits / found.double()).masked_fill(sets.undefined.any(1)[:, None], torch.nan)
    return values if a.dim() == 3 else values[0]


def lens_over_w(a: Tensor, b: Tensor, k: int = 1000, of: Measure = "recall") -> Tensor:
    """Return the w-LENS-recall or -precision of maps `[N, H, W]` or `[H, W]` for each w from 0 to max(H, W) - 1, last.

    Shapes are `[N, max(H, W)]` or `[max(H, W)]`, float64. The first w at which recall and precision are both 1 is the
    Hausdorff distance of the two sets, in rows or columns. NaN for a map with a NaN. Raises ComponentError where shapes
    differ or k is more than a map's pixels.
    """
    first, second = _maps(a, b, of)
    near, counted = top_k_mask(first, k), top_k_mask(second, k)
    curves = [
        _shares_within(_distances(one), other) for one, other in zip(near.cpu(), counted.cpu(), strict=True)
    ]  # fmt: skip
    values = torch.from_numpy(np.stack(curves)).to(a.device)
    return values if a.dim() == 3 else values[0]


def _maps(a: Tensor, b: Tensor, of: Measure) -> tuple[Tensor, Tensor]:
    """Return the maps `[N, H, W]` around whose pixels windows lie, and those whose pixels count."""
    if a.shape != b.shape or a.dim() not in (2, 3):
        raise ComponentError(
            f"LENS compares maps [H, W] or [N, H, W] of one shape; got {list(a.shape)} and {list(b.shape)}."
        )
    if of not in ("recall", "precision"):
        raise ComponentError(f"of must be 'recall' or 'precision'; got {of!r}.")
    first, second = (maps.reshape(-1, *maps.shape[-2:]) for maps in (a, b))
    return (first, second) if of == "recall" else (second, first)


def _distances(mask: Tensor) -> np.ndarray:
    """Return each pixel's distance `[H, W]` to the nearest of the mask, in rows or columns, whichever are more."""
    distances: np.ndarray = distance_transform_cdt(~mask.numpy(), metric="chessboard")
    return distances


def _shares_within(distances: np.ndarray, counted: Tensor) -> np.ndarray:
    """Return the share of the counted pixels within each distance; NaN without any, as in a map with a NaN."""
    own = distances[counted.numpy()]
    if not own.size or distances.min() < 0:
        return np.full(max(distances.shape), np.nan)
    within: np.ndarray = np.bincount(own, minlength=max(distances.shape)).cumsum() / own.size
    return within
