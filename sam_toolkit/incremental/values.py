"""A batch of activations as what differs from the clean image's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from sam_toolkit import ops
from sam_toolkit.incremental.geometry import Ints, Kernel, Region


class Place:
    """Where the windows of a batch lie in an activation: equal rectangles, one a row of the batch."""

    def __init__(self, region: Region) -> None:
        """Take the rectangles of `region`, each as large as the largest in each direction."""
        self.y, self.x = region.rows.starts, region.columns.starts
        self.size = region.rows.length, region.columns.length
        self.full = region.rows.full, region.columns.full

    def __len__(self) -> int:
        return len(self.y)

    def same(self, other: Place) -> bool:
        """Return whether the rectangles of another place are these."""
        return self.size == other.size and np.array_equal(self.y, other.y) and np.array_equal(self.x, other.x)

    @cached_property
    def boxes(self) -> Tensor:
        """Return the rectangles as `[n, 5]` of (0, y0, x0, y1, x1)."""
        height, width = self.size
        columns = (np.zeros_like(self.y), self.y, self.x, self.y + height, self.x + width)
        return torch.from_numpy(np.stack(columns, axis=1))

    @cached_property
    def starts(self) -> Tensor:
        """Return the upper left corners `[n, 2]`."""
        return _starts(self.y, self.x)

    def read(self, kernels: tuple[Kernel, Kernel]) -> tuple[Tensor, tuple[int, int]]:
        """Return corners `[n, 2]` and size of what is read for these rectangles; it may leave the activation."""
        (down, across), (height, width) = kernels, self.size
        corners = _starts(self.y * down.stride - down.before, self.x * across.stride - across.before)
        return corners, (down.context(height), across.context(width))


def _starts(y: Ints, x: Ints) -> Tensor:
    return torch.from_numpy(np.stack((y, x), axis=1))


@dataclass(frozen=True)
class Windows:
    """Activations `[n, ..., H, W]` that are the clean image's but for one rectangle each.

    Attributes:
        clean: `[1, ..., H, W]`.
        patch: what the rectangles hold, `[n, ..., h, w]`.
    """

    clean: Tensor
    patch: Tensor
    place: Place

    def at(self, place: Place) -> Tensor:
        """Return what other rectangles of the same activation hold, `[n, C, *place.size]`; may be `patch` itself."""
        return self.patch if self.place.same(place) else self.shown(place.starts, place.size)

    def shown(self, corners: Tensor, size: tuple[int, int], pad: float = 0.0) -> Tensor:
        """Return what rectangles from `corners` `[n, 2]` on hold, `[n, C, *size]`; outside the activation, `pad`."""
        return ops.assemble(self.clean, self.place.boxes, self.patch, corners, size, pad)

    @cached_property
    def whole(self) -> Tensor:
        """Return the activations themselves."""
        if self.place.size == self.place.full:
            return self.patch
        shape = (len(self.place), *self.clean.shape[1:])
        flat = Windows(_planes(self.clean), _planes(self.patch), self.place)
        return flat.shown(torch.zeros(len(self.place), 2, dtype=torch.int64), self.place.full).reshape(shape)


def _planes(values: Tensor) -> Tensor:
    """Return `[n, ..., H, W]` as `[n, C, H, W]`."""
    return values if values.dim() == 4 else values.reshape(len(values), -1, *values.shape[-2:])
