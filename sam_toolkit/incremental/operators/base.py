"""What every operator of a network can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from torch import Tensor

from sam_toolkit.incremental.geometry import Region, joined
from sam_toolkit.incremental.values import Place, Windows

Activation = Callable[[Tensor], Tensor]
"""Works on each value by itself, and may write to what it is given."""


class Operator(ABC):
    """A layer, on whole activations `[n, C, H, W]` and on windows of them."""

    reduces: ClassVar[bool] = False
    """Whether `window` gives whole results `[n, ...]`, for activations without a place."""
    absorbs: ClassVar[bool] = True
    """Whether its results are new tensors, which an activation that follows may write to."""

    def __init__(self) -> None:
        self.activations: list[Activation] = []

    def whole(self, *inputs: Tensor) -> Tensor:
        """Return the result for whole activations."""
        return self._activated(self._whole(*inputs))

    def window(self, inputs: Sequence[Windows], place: Place) -> Tensor:
        """Return what the result holds at `place`, `[n, C, *place.size]`."""
        return self._activated(self._window(inputs, place))

    def region(self, inputs: Sequence[Region], shape: Sequence[int]) -> Region | None:
        """Return where a result of `shape` changes where inputs change, or None: anywhere."""
        return joined(inputs)

    def gathers(self, inputs: Sequence[Region], out: Region) -> list[int]:
        """Return the pixels that are copied from each input before a batch of windows is computed."""
        return [0 if one.area == out.area else out.area for one in inputs]

    @abstractmethod
    def _whole(self, *inputs: Tensor) -> Tensor: ...

    @abstractmethod
    def _window(self, inputs: Sequence[Windows], place: Place) -> Tensor: ...

    def _activated(self, values: Tensor) -> Tensor:
        for activation in self.activations:
            values = activation(values)
        return values
