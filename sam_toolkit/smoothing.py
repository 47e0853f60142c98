"""Maps smoothed over windows: each value becomes the mean of those around it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from sam_toolkit.errors import ComponentError

Padding = Literal["zero", "valid", "symmetric"]
"""What a window finds outside the map: zeros; nothing, so that it holds fewer; the map mirrored, borders repeated."""


def smoothed(maps: Tensor, window: int, padding: Padding = "symmetric") -> Tensor:
    """Return maps `[..., H, W]`, float64, each value the mean of those within `window` rows and columns.

    The means of equal values are equal, and those of zeros zero, unless values differ more than 10^6-fold: rows and
    columns are added without dividing, and nothing is subtracted. Raises ComponentError for a negative window.
    """
    if window < 0:
        raise ComponentError(f"smoothed: window must be 0 or more pixels to each side; got {window}.")
    if window == 0:
        return maps.double()
    rows, columns = (_counts(side, window, padding).to(maps.device) for side in maps.shape[-2:])
    sums = rows @ maps.double() @ columns.T
    if padding == "valid":
        return sums / (rows.sum(1)[:, None] * columns.sum(1))
    return sums / (2 * window + 1) ** 2


def _counts(side: int, window: int, padding: Padding) -> Tensor:
    """Return how often the window of each of `side` places holds each place, `[side, side]`."""
    places = torch.arange(side)[:, None] + torch.arange(-window, window + 1)
    if padding == "symmetric":
        mirrored = places % (2 * side)
        places = torch.minimum(mirrored, 2 * side - 1 - mirrored)
    inside = (places >= 0) & (places < side)
    counts = torch.zeros(side, side, dtype=torch.float64)
    return counts.scatter_add(1, places.clamp(0, side - 1), inside.double())
