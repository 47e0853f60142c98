"""What of a map counts, and where the boxes of its image are."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from sam_toolkit.types import Batch

Sign = Literal["signed", "absolute"]
"""Whether evidence against the target counts least, or as much as evidence for it."""


def strength(maps: Tensor, sign: Sign) -> Tensor:
    """Return maps whose largest values count most: as they are, or without their signs."""
    return maps.abs() if sign == "absolute" else maps


def box_masks(batch: Batch, maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return the image `[B]` of each box, and which pixels of maps `[..., H, W]` it covers, bool `[B, H, W]`.

    Both are on the CPU; without boxes B is 0.
    """
    boxes = torch.empty(0, 5, dtype=torch.int64) if batch.boxes is None else batch.boxes.cpu()
    image, y0, x0, y1, x1 = boxes.T[..., None]
    down, across = (torch.arange(side) for side in maps.shape[-2:])
    rows, columns = (y0 <= down) & (down < y1), (x0 <= across) & (across < x1)
    return image[:, 0], rows[:, :, None] & columns[:, None]


def union(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return the images that have a box, and which pixels any of an image's boxes covers."""
    annotated = images.unique()
    joined = [masks[images == image].any(dim=0) for image in annotated]
    return annotated, torch.stack(joined) if joined else masks
