"""Convolutions of every kind: grouped, depthwise, strided, dilated, padded alike or not on the two sides."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from sam_toolkit.incremental.geometry import Kernel, Region
from sam_toolkit.incremental.operators.base import Operator
from sam_toolkit.incremental.values import Place, Windows


class Convolution(Operator):
    """A convolution with zero padding; the weight is channels-last, `[K, C / groups, h, w]`."""

    def __init__(self, weight: Tensor, bias: Tensor | None, kernels: tuple[Kernel, Kernel], groups: int = 1) -> None:
        super().__init__()
        self.weight = weight.detach().contiguous(memory_format=torch.channels_last)
        self.bias = bias if bias is None else bias.detach()
        self.kernels = kernels
        self.groups = groups

    def scaled(self, scale: Tensor, shift: Tensor) -> Convolution:
        """Return the convolution whose results are `scale` times these plus `shift`, both float64 `[K]`."""
        weight = self.weight.double() * scale[:, None, None, None]
        bias = shift if self.bias is None else self.bias.double() * scale + shift
        return Convolution(weight.to(self.weight), bias.to(self.weight), self.kernels, self.groups)

    def padded(self, sides: tuple[int, int, int, int]) -> Convolution:
        """Return the convolution of an input with zeros around it: left, right, top, bottom."""
        (down, across), (left, right, top, bottom) = self.kernels, sides
        kernels = down.padded(top, bottom), across.padded(left, right)
        return Convolution(self.weight, self.bias, kernels, self.groups)

    def region(self, inputs: Sequence[Region], shape: Sequence[int]) -> Region | None:
        """Return what changes behind the kernels."""
        return inputs[0].through(self.kernels, shape[-2:])

    def gathers(self, inputs: Sequence[Region], out: Region) -> list[int]:
        """Return the pixels read, which are copied unless each is read once in its place."""
        if all(kernel.copies for kernel in self.kernels):
            return super().gathers(inputs, out)
        down, across = self.kernels
        return [down.context(out.rows.length) * across.context(out.columns.length)]

    def _whole(self, *inputs: Tensor) -> Tensor:
        (values,), (down, across) = inputs, self.kernels
        if down.before == down.after and across.before == across.after:
            return self._convolved(values, (down.before, across.before))
        return self._convolved(pad(values, (across.before, across.after, down.before, down.after)))

    def _window(self, inputs: Sequence[Windows], place: Place) -> Tensor:
        if all(kernel.copies for kernel in self.kernels):
            return self._convolved(inputs[0].at(place))
        return self._convolved(inputs[0].shown(*place.read(self.kernels)))

    def _convolved(self, values: Tensor, padding: tuple[int, int] = (0, 0)) -> Tensor:
        if self.groups == 1 and all(kernel.copies for kernel in self.kernels):
            return self._pixel_by_pixel(values)
        down, across = self.kernels
        stride, dilation = (down.stride, across.stride), (down.dilation, across.dilation)
        return conv2d(values, self.weight, self.bias, stride, padding, dilation, self.groups)

    def _pixel_by_pixel(self, values: Tensor) -> Tensor:
        """Return the convolution of all windows as one tall image: small windows would leave vectors half empty."""
        count, channels, height, width = values.shape
        tall = values.permute(0, 2, 3, 1).reshape(1, count * height, width, channels).permute(0, 3, 1, 2)
        done = conv2d(tall, self.weight, self.bias).permute(0, 2, 3, 1)
        return done.reshape(count, height, width, -1).permute(0, 3, 1, 2)
