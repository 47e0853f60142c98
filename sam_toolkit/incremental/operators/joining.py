"""Concatenation of channels, and zeros around an activation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from sam_toolkit.incremental.geometry import Region
from sam_toolkit.incremental.operators.base import Operator
from sam_toolkit.incremental.values import Place, Windows


class Concatenation(Operator):
    """The channels of several activations, one after the other."""

    def gathers(self, inputs: Sequence[Region], out: Region) -> list[int]:
        """Return the pixels copied: each once, and again where a window must grow to its neighbours' size."""
        again = super().gathers(inputs, out)
        return [out.area + one for one in again]

    def _whole(self, *inputs: Tensor) -> Tensor:
        return torch.cat(inputs, dim=1)

    def _window(self, inputs: Sequence[Windows], place: Place) -> Tensor:
        return torch.cat([one.at(place) for one in inputs], dim=1)


class Padding(Operator):
    """A border of one value; windows stay as they are, but for those that lay at a border and can now move back."""

    absorbs = False

    def __init__(self, sides: tuple[int, int, int, int], value: float = 0.0) -> None:
        """Take the sides as left, right, top, bottom, none negative."""
        super().__init__()
        self.sides = sides
        self.value = value

    def region(self, inputs: Sequence[Region], shape: Sequence[int]) -> Region | None:
        """Return the same pixels of the larger activation."""
        left, _, top, _ = self.sides
        rows, columns = inputs[0].rows, inputs[0].columns
        return Region(rows.moved(top, shape[-2]), columns.moved(left, shape[-1]))

    def _whole(self, *inputs: Tensor) -> Tensor:
        return pad(inputs[0], self.sides, value=self.value)

    def _window(self, inputs: Sequence[Windows], place: Place) -> Tensor:
        left, _, top, _ = self.sides
        corners = place.starts - torch.tensor([top, left])
        if place.size == inputs[0].place.size and torch.equal(corners, inputs[0].place.starts):
            return inputs[0].patch
        return inputs[0].shown(corners, place.size, self.value)


class Folding(Operator):
    """Channels in another order or arrangement: `[n, C, H, W]` as `[n, G, C / G, H, W]`, two of G swapped, and back."""

    absorbs = False

    def __init__(self, channels: Sequence[int]) -> None:
        """Take the lengths of the axes between the batch and the pixels."""
        super().__init__()
        self.channels = tuple(channels)

    def _whole(self, *inputs: Tensor) -> Tensor:
        return inputs[0].reshape(len(inputs[0]), *self.channels, *inputs[0].shape[-2:])

    def _window(self, inputs: Sequence[Windows], place: Place) -> Tensor:
        return self._whole(inputs[0].at(place))
