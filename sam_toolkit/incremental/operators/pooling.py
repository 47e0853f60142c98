"""Maximum, average and global average pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, max_pool2d

from sam_toolkit.incremental.geometry import Kernel, Region
from sam_toolkit.incremental.operators.base import Operator
from sam_toolkit.incremental.values import Place, Windows


class _Pooling(Operator):
    def __init__(self, kernels: tuple[Kernel, Kernel], ceil_mode: bool = False) -> None:
        super().__init__()
        down, across = kernels
        self.kernels = kernels
        self.ceil_mode = ceil_mode
        self.sizes, self.strides = (down.size, across.size), (down.stride, across.stride)
        self.padding, self.dilations = (down.before, across.before), (down.dilation, across.dilation)

    def region(self, inputs: Sequence[Region], shape: Sequence[int]) -> Region | None:
        """Return what changes behind the kernels."""
        return inputs[0].through(self.kernels, shape[-2:])

    def gathers(self, inputs: Sequence[Region], out: Region) -> list[int]:
        """Return the pixels read."""
        down, across = self.kernels
        return [down.context(out.rows.length) * across.context(out.columns.length)]


class MaxPooling(_Pooling):
    """Maximum pooling; what lies outside is never the largest."""

    def _whole(self, *inputs: Tensor) -> Tensor:
        return max_pool2d(inputs[0], self.sizes, self.strides, self.padding, self.dilations, self.ceil_mode)

    def _window(self, inputs: Sequence[Windows], place: Place) -> Tensor:
        read = inputs[0].shown(*place.read(self.kernels), pad=-torch.inf)
        return max_pool2d(read, self.sizes, self.strides, 0, self.dilations)


class AveragePooling(_Pooling):
    """Average pooling; at borders the divisor is what the whole pooling divides by there."""

    def __init__(
        self,
        kernels: tuple[Kernel, Kernel],
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor: int | None = None,
    ) -> None:
        super().__init__(kernels, ceil_mode)
        self.count_include_pad = count_include_pad
        self.divisor = divisor

    def _whole(self, *inputs: Tensor) -> Tensor:
        return avg_pool2d(
            inputs[0], self.sizes, self.strides, self.padding, self.ceil_mode, self.count_include_pad, self.divisor
        )

    def _window(self, inputs: Sequence[Windows], place: Place) -> Tensor:
        read = inputs[0].shown(*place.read(self.kernels))
        pixels = self.divisor or self.sizes[0] * self.sizes[1]
        means = avg_pool2d(read, self.sizes, self.strides, divisor_override=pixels)
        if self.divisor or (self.count_include_pad and not self.ceil_mode) or not self._has_borders():
            return means
        return means.mul_(self._corrections(inputs[0].clean, place, pixels))

    def _has_borders(self) -> bool:
        return self.ceil_mode or any(self.padding)

    def _corrections(self, clean: Tensor, place: Place, pixels: int) -> Tensor:
        """Return `pixels` over the divisor that the whole pooling has at each place, `[n, 1, h, w]`."""
        ones = torch.ones(1, 1, *clean.shape[-2:], device=clean.device, dtype=torch.float64)
        wide = avg_pool2d(ones, self.sizes, self.strides, self.padding, self.ceil_mode, divisor_override=1)
        factors = (self._whole(ones) * pixels / wide)[0, 0].to(clean.dtype)
        (height, width), starts = place.size, place.starts.to(clean.device)
        rows = starts[:, 0, None] + torch.arange(height, device=clean.device)
        columns = starts[:, 1, None] + torch.arange(width, device=clean.device)
        return factors[rows[:, :, None], columns[:, None, :]][:, None]


class GlobalAverage(Operator):
    """The mean of each channel, from the clean image's mean and the differences within the windows, in float64."""

    reduces: ClassVar[bool] = True

    def __init__(self, keepdim: bool = True) -> None:
        super().__init__()
        self.keepdim = keepdim

    def region(self, inputs: Sequence[Region], shape: Sequence[int]) -> Region | None:
        """Return None: what follows has no place."""
        return None

    def _whole(self, *inputs: Tensor) -> Tensor:
        means = adaptive_avg_pool2d(inputs[0], 1)
        return means if self.keepdim else means.flatten(1)

    def _window(self, inputs: Sequence[Windows], place: Place) -> Tensor:
        (seen,) = inputs
        clean = seen.clean.double()
        total, pixels = clean.sum(dim=(2, 3), keepdim=True), clean.shape[2] * clean.shape[3]
        changed = seen.patch.sum(dim=(2, 3), keepdim=True, dtype=torch.float64)
        means = ((total - _sums(clean, seen.place) + changed) / pixels).to(seen.patch.dtype)
        return means if self.keepdim else means.flatten(1)


def _sums(values: Tensor, place: Place) -> Tensor:
    """Return the sums of `values` `[1, C, H, W]` over each rectangle, `[n, C, 1, 1]`, from the integral image."""
    integral = torch.nn.functional.pad(values[0].cumsum(1).cumsum(2), (1, 0, 1, 0))
    y, x = place.starts.to(values.device).unbind(1)
    below, right = y + place.size[0], x + place.size[1]
    corners = integral[:, below, right] - integral[:, y, right] - integral[:, below, x] + integral[:, y, x]
    return corners.T[:, :, None, None]
