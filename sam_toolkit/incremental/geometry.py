"""Where an activation changes when its input changes, along one axis and in both; no tensors, no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Kernel:
    """What a convolution or a pooling reads along one axis.

    Attributes:
        size: of the kernel, in taps.
        before: pixels of padding in front of the first.
        after: pixels of padding behind the last.
    """

    size: int = 1
    stride: int = 1
    before: int = 0
    after: int = 0
    dilation: int = 1

    @property
    def reach(self) -> int:
        """Return how many pixels lie between the first tap and the last."""
        return (self.size - 1) * self.dilation

    @property
    def copies(self) -> bool:
        """Return whether each pixel is made of the one pixel at its own place."""
        return (self.size, self.stride, self.before, self.after) == (1, 1, 0, 0)

    def padded(self, before: int, after: int) -> Kernel:
        """Return this kernel on an axis with further padding."""
        return Kernel(self.size, self.stride, self.before + before, self.after + after, self.dilation)

    def context(self, length: int) -> int:
        """Return how many pixels are read for `length` pixels in a row."""
        return (length - 1) * self.stride + self.reach + 1


@dataclass(frozen=True)
class Stretch:
    """Along one axis, what each of P positions changes: pixels `first` to `stop`, exclusive, of `full`.

    Positions that share a batch have one length, that of the longest, and begin early enough to fit.
    """

    first: Ints
    stop: Ints
    full: int

    @cached_property
    def length(self) -> int:
        """Return the length of the longest."""
        return int((self.stop - self.first).max())

    @property
    def starts(self) -> Ints:
        """Return where each begins if all are as long as the longest."""
        return np.minimum(self.first, self.full - self.length)

    def take(self, positions: Ints) -> Stretch:
        """Return the stretches of some positions."""
        return Stretch(self.first[positions], self.stop[positions], self.full)

    def through(self, kernel: Kernel, full: int) -> Stretch:
        """Return what changes behind `kernel`, on an axis of `full` pixels; never less than one pixel."""
        first = -(-(self.first + kernel.before - kernel.reach) // kernel.stride)
        stop = (self.stop - 1 + kernel.before) // kernel.stride + 1
        first = np.clip(first, 0, full - 1)
        return Stretch(first, np.clip(stop, first + 1, full), full)

    def moved(self, by: int, full: int) -> Stretch:
        """Return the same pixels on an axis that has `by` more in front, and `full` in all."""
        return Stretch(self.first + by, self.stop + by, full)

    def joined(self, other: Stretch) -> Stretch:
        """Return the shortest stretches that hold both."""
        return Stretch(np.minimum(self.first, other.first), np.maximum(self.stop, other.stop), self.full)


@dataclass(frozen=True)
class Region:
    """What each of P positions changes of an activation: a rectangle."""

    rows: Stretch
    columns: Stretch

    @cached_property
    def area(self) -> int:
        """Return the pixels of a rectangle as large as the largest in each direction."""
        return self.rows.length * self.columns.length

    @property
    def full(self) -> int:
        """Return the pixels of the whole activation."""
        return self.rows.full * self.columns.full

    @property
    def pixels(self) -> Ints:
        """Return the pixels `[P]` that each position changes."""
        return (self.rows.stop - self.rows.first) * (self.columns.stop - self.columns.first)

    def take(self, positions: Ints) -> Region:
        """Return the rectangles of some positions."""
        return Region(self.rows.take(positions), self.columns.take(positions))

    def through(self, kernels: tuple[Kernel, Kernel], size: Sequence[int]) -> Region:
        """Return what changes behind the kernels (down, across) of an activation of `size` (H, W)."""
        rows, columns = (
            axis.through(kernel, full)
            for axis, kernel, full in zip((self.rows, self.columns), kernels, size, strict=True)
        )
        return Region(rows, columns)


def joined(regions: Sequence[Region]) -> Region:
    """Return the smallest rectangles that hold those of all regions."""
    rows = reduce(Stretch.joined, [region.rows for region in regions])
    return Region(rows, reduce(Stretch.joined, [region.columns for region in regions]))


def input_region(windows: NDArray[np.int64], size: tuple[int, int]) -> Region:
    """Return the region of the image itself for windows `[P, 4]` of (y0, x0, y1, x1), ends exclusive."""
    y0, x0, y1, x1 = windows.T
    return Region(Stretch(y0, y1, size[0]), Stretch(x0, x1, size[1]))
