"""Addressed random draws: draw i of image k depends on (seed, stream, image id, i) and on nothing drawn before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from sam_toolkit.types import digest


@dataclass(frozen=True)
class Rng:
    """A source of draws that no order, batch, chunk or device changes.

    Drawn on the CPU, so that CPU and GPU runs see the same numbers; callers move them.
    """

    seed: int = 0
    stream: tuple[str, ...] = ()

    def child(self, *names: str | int) -> Self:
        """Return the independent stream below this one that `names` address."""
        return type(self)(self.seed, self.stream + tuple(str(name) for name in names))

    def generator(self, image_id: str, index: int = 0) -> torch.Generator:
        """Return a generator that stands at draw `index` of image `image_id`."""
        address = digest(str(self.seed), *self.stream, image_id, str(index))
        return torch.Generator().manual_seed(int(address[:16], 16) >> 1)

    def normal(self, image_id: str, index: int, shape: Sequence[int]) -> Tensor:
        """Return draw `index` from N(0, 1), float32 of `shape`."""
        return torch.randn(tuple(shape), generator=self.generator(image_id, index))

    def uniform(self, image_id: str, index: int, shape: Sequence[int]) -> Tensor:
        """Return draw `index` from U[0, 1), float32 of `shape`."""
        return torch.rand(tuple(shape), generator=self.generator(image_id, index))
