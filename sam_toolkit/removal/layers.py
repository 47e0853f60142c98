"""Lipschitz constants of layers, and which layers are affine: those get theirs from the spectral norm of the map."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

Constant = Callable[[Any], float]

SLOPE_ONE: tuple[type[nn.Module], ...] = (
    nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Tanh, nn.Softplus, nn.CELU, nn.Softsign, nn.Tanhshrink, nn.Softshrink,
    nn.LogSigmoid,
)  # fmt: skip
_SELU = 1.0507009873554805 * 1.6732632423543772

CONSTANTS: Mapping[type[nn.Module], Constant] = {
    **dict.fromkeys(SLOPE_ONE, lambda layer: 1.0),
    nn.LeakyReLU: lambda layer: max(1.0, abs(layer.negative_slope)),
    nn.PReLU: lambda layer: max(1.0, float(layer.weight.detach().abs().max())),
    nn.ELU: lambda layer: max(1.0, abs(layer.alpha)),
    nn.SELU: lambda layer: _SELU,
    nn.Sigmoid: lambda layer: 0.25,
    nn.Hardsigmoid: lambda layer: 1 / 6,
    nn.Hardswish: lambda layer: 1.5,
    nn.SiLU: lambda layer: 1.0998393202,
    nn.GELU: lambda layer: 1.1289930687 if layer.approximate == "tanh" else 1.1289041452,
    nn.Mish: lambda layer: 1.0884981613,
    nn.Softmax: lambda layer: 0.5,
    nn.MaxPool1d: lambda layer: _overlap(layer, 1),
    nn.MaxPool2d: lambda layer: _overlap(layer, 2),
    nn.MaxPool3d: lambda layer: _overlap(layer, 3),
}  # fmt: skip
"""By type of layer: the largest slope, or for max pooling the root of the number of windows that share an element."""

AFFINE: tuple[type[nn.Module], ...] = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
    nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.Flatten, nn.Unflatten, nn.Identity,
    nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout,
    nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d, nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d,
    nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d,
    nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d, nn.PixelShuffle, nn.PixelUnshuffle,
    nn.ChannelShuffle, nn.Upsample,
)  # fmt: skip
"""Layers that are affine in evaluation mode."""

AFFINE_FUNCTIONS: frozenset[Any] = frozenset({
    functional.linear, functional.conv1d, functional.conv2d, functional.conv3d,
    functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d,
    functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d, functional.adaptive_avg_pool3d,
    functional.pad, functional.interpolate, functional.pixel_shuffle,
    torch.flatten, torch.reshape, torch.permute, torch.transpose, torch.squeeze, torch.unsqueeze, torch.mean, torch.sum,
    torch.neg, operator.neg, operator.getitem,
})  # fmt: skip
AFFINE_METHODS = frozenset({
    "view", "reshape", "flatten", "permute", "transpose", "squeeze", "unsqueeze", "contiguous", "mean", "sum", "neg",
    "clone", "t",
})  # fmt: skip
SUMS: frozenset[Any] = frozenset({operator.add, operator.iadd, torch.add, operator.sub, operator.isub, torch.sub})
JOINS: frozenset[Any] = frozenset({torch.cat, torch.concat})
SCALES: frozenset[Any] = frozenset({operator.mul, operator.imul, torch.mul})
QUOTIENTS: frozenset[Any] = frozenset({operator.truediv, operator.itruediv, torch.div})
IN_PLACE: frozenset[Any] = frozenset({operator.iadd, operator.isub, operator.imul, operator.itruediv})
SAME_AS: Mapping[Any, type[nn.Module]] = {
    functional.relu: nn.ReLU, torch.relu: nn.ReLU, "relu": nn.ReLU, "relu_": nn.ReLU, functional.relu6: nn.ReLU6,
    functional.hardtanh: nn.Hardtanh, functional.leaky_relu: nn.LeakyReLU, functional.elu: nn.ELU,
    functional.sigmoid: nn.Sigmoid, torch.sigmoid: nn.Sigmoid, "sigmoid": nn.Sigmoid, functional.tanh: nn.Tanh,
    torch.tanh: nn.Tanh, "tanh": nn.Tanh, functional.gelu: nn.GELU, functional.silu: nn.SiLU, functional.mish: nn.Mish,
    functional.hardswish: nn.Hardswish, functional.hardsigmoid: nn.Hardsigmoid, functional.softplus: nn.Softplus,
    functional.max_pool1d: nn.MaxPool1d, functional.max_pool2d: nn.MaxPool2d, functional.max_pool3d: nn.MaxPool3d,
    functional.softmax: nn.Softmax, torch.softmax: nn.Softmax, "softmax": nn.Softmax,
}  # fmt: skip
"""Functions and methods by the layer that they are."""


def is_affine(layer: nn.Module) -> bool:
    """Return whether a layer is affine in evaluation mode: batch norm without running statistics is not."""
    batch_norm = isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)
    return isinstance(layer, AFFINE) and not (batch_norm and layer.running_mean is None)


def layer_constant(layer: nn.Module) -> float | None:
    """Return the Lipschitz constant of a layer that is not affine; None where it is not known."""
    rule = CONSTANTS.get(type(layer))
    return None if rule is None else rule(layer)


def _overlap(layer: Any, dimensions: int) -> float:
    """Return the root of the number of max pooling windows that can share an element."""
    sizes, strides, dilations = (
        value if isinstance(value, tuple) else (value,) * dimensions
        for value in (layer.kernel_size, layer.stride, layer.dilation)
    )
    # A window reaches an element by one of its taps, and windows start a stride apart.
    counts = [
        min(size, math.ceil(((size - 1) * dilation + 1) / stride))
        for size, stride, dilation in zip(sizes, strides, dilations, strict=True)
    ]
    return math.sqrt(math.prod(counts))
