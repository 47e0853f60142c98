"""An image with a patch that slides over it, as the cases of occlusion have it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor


@dataclass(frozen=True)
class Scene:
    """An image `[1, 3, H, W]` and the boxes `[P, 5]` of a patch that slides over it, cut off at the far borders."""

    image: Tensor
    boxes: Tensor
    patch: int
    stride: int


def scene(image: Tensor, patch: int, stride: int) -> Scene:
    """Return the scene in which the patch stands at every multiple of the stride that it takes to cover the image."""
    height, width = image.shape[2:]
    rows, columns = (range(0, side - patch + stride, stride) for side in (height, width))
    places = [[0, y, x, min(y + patch, height), min(x + patch, width)] for y, x in product(rows, columns)]
    return Scene(image, torch.tensor(places), patch, stride)
