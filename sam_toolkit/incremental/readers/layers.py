"""Readers of convolutions, batch norm, padding and pooling."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from sam_toolkit.incremental.geometry import Kernel
from sam_toolkit.incremental.operators.convolution import Convolution
from sam_toolkit.incremental.operators.joining import Padding
from sam_toolkit.incremental.operators.pointwise import Alias, Normalisation
from sam_toolkit.incremental.operators.pooling import AveragePooling, GlobalAverage, MaxPooling
from sam_toolkit.incremental.site import Found, Reader, Site


def _pair(value: Any) -> tuple[int, int]:
    first, second = value if isinstance(value, tuple | list) else (value, value)
    return int(first), int(second)


def _kernels(size: Any, stride: Any, padding: Any, dilation: Any) -> tuple[Kernel, Kernel]:
    sizes, strides, dilations = _pair(size), _pair(stride), _pair(dilation)
    reaches = [(one - 1) * gap for one, gap in zip(sizes, dilations, strict=True)]
    match padding:
        case "same":
            before = [reach // 2 for reach in reaches]
            after = [reach - first for reach, first in zip(reaches, before, strict=True)]
        case "valid":
            before = after = [0, 0]
        case _:
            before = after = list(_pair(padding))
    down, across = (Kernel(sizes[axis], strides[axis], before[axis], after[axis], dilations[axis]) for axis in (0, 1))
    return down, across


def _conv2d(
    site: Site, input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, *rest: Any, **more: Any
) -> Found | None:
    def options(dilation: Any = 1, groups: int = 1) -> tuple[Any, int]:
        return dilation, groups

    dilation, groups = options(*rest, **more)
    taps, shift = site.value(weight), site.value(bias)
    if not site.spatial(input) or taps.dim() != 4:
        return None
    kernels = _kernels(taps.shape[2:], site.value(stride), site.value(padding), site.value(dilation))
    return Found(Convolution(taps, shift, kernels, site.value(groups)), (input,))


def _conv_module(site: Site, conv: nn.Conv2d, input: Any) -> Found | None:
    if conv.padding_mode != "zeros":
        return None
    return _conv2d(site, input, conv.weight, conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups)


def _batch_norm(
    site: Site, input: Any, running_mean: Any, running_var: Any, weight: Any = None, *rest: Any, **more: Any
) -> Found | None:
    def options(bias: Any = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5) -> Any:
        return bias, training, eps

    bias, training, eps = options(*rest, **more)
    mean, variance = site.value(running_mean), site.value(running_var)
    if training or mean is None or variance is None or not site.spatial(input):
        return None
    return Found(Normalisation(mean, variance, site.value(weight), site.value(bias), eps), (input,))


def _norm_module(site: Site, norm: nn.BatchNorm2d, input: Any) -> Found | None:
    return _batch_norm(site, input, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.1, norm.eps)


def _pad(site: Site, input: Any, pad: Any, mode: str = "constant", value: float | None = None) -> Found | None:
    sides = [*site.value(pad), 0, 0, 0, 0][:4]
    if mode != "constant" or len(pad) > 4 or min(sides) < 0 or not site.spatial(input):
        return None
    left, right, top, bottom = sides
    return Found(Padding((left, right, top, bottom), value or 0.0), (input,))


def _pad_module(site: Site, padding: nn.ZeroPad2d, input: Any) -> Found | None:
    return _pad(site, input, padding.padding, value=getattr(padding, "value", 0.0))


def _max_pool(
    site: Site, input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, *rest: Any, **more: Any
) -> Found | None:
    def options(dilation: Any = 1, ceil_mode: bool = False, return_indices: bool = False) -> tuple[Any, bool, bool]:
        return dilation, ceil_mode, return_indices

    dilation, ceil_mode, return_indices = options(*rest, **more)
    if return_indices or not site.spatial(input):
        return None
    steps = kernel_size if stride is None or stride == [] else stride
    return Found(MaxPooling(_kernels(kernel_size, steps, padding, dilation), ceil_mode), (input,))


def _max_pool_module(site: Site, pool: nn.MaxPool2d, input: Any) -> Found | None:
    return _max_pool(
        site, input, pool.kernel_size, pool.stride, pool.padding, pool.dilation, pool.ceil_mode, pool.return_indices
    )


def _average_pool(
    site: Site, input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, *rest: Any, **more: Any
) -> Found | None:
    def options(
        ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None
    ) -> tuple[bool, bool, int | None]:
        return ceil_mode, count_include_pad, divisor_override

    if not site.spatial(input):
        return None
    steps = kernel_size if stride is None or stride == [] else stride
    if _pair(kernel_size) == tuple(site.shapes[input][2:]) and _pair(padding) == (0, 0) and not (rest or more):
        return Found(GlobalAverage(), (input,))
    return Found(AveragePooling(_kernels(kernel_size, steps, padding, 1), *options(*rest, **more)), (input,))


def _average_pool_module(site: Site, pool: nn.AvgPool2d, input: Any) -> Found | None:
    rest = (pool.ceil_mode, pool.count_include_pad, pool.divisor_override)
    usual = (False, True, None)
    return _average_pool(site, input, pool.kernel_size, pool.stride, pool.padding, *(() if rest == usual else rest))


def _adaptive_average(site: Site, input: Any, output_size: Any) -> Found | None:
    if not site.spatial(input):
        return None
    size, wanted = site.shapes[input][2:], tuple(site.shape[2:])
    if wanted == (1, 1):
        return Found(GlobalAverage(), (input,))
    if tuple(size) == wanted:
        return Found(Alias(lambda values: values), (input,))
    if any(whole % part for whole, part in zip(size, wanted, strict=True)):
        return None
    sides = [whole // part for whole, part in zip(size, wanted, strict=True)]
    return Found(AveragePooling(_kernels(sides, sides, 0, 1)), (input,))


def _adaptive_module(site: Site, pool: nn.AdaptiveAvgPool2d, input: Any) -> Found | None:
    return _adaptive_average(site, input, pool.output_size)


def _mean(site: Site, input: Any, dim: Any = None, keepdim: bool = False, **more: Any) -> Found | None:
    axes = dim if isinstance(dim, tuple | list) else ()
    if more or not site.spatial(input) or sorted(axis % 4 for axis in axes) != [2, 3]:
        return None
    return Found(GlobalAverage(keepdim), (input,))


MODULES: dict[type[nn.Module], Reader] = {
    nn.Conv2d: _conv_module,
    nn.BatchNorm2d: _norm_module,
    nn.MaxPool2d: _max_pool_module,
    nn.AvgPool2d: _average_pool_module,
    nn.AdaptiveAvgPool2d: _adaptive_module,
    nn.ZeroPad2d: _pad_module,
    nn.ConstantPad2d: _pad_module,
}
FUNCTIONS: dict[Any, Reader] = {
    functional.conv2d: _conv2d,
    functional.batch_norm: _batch_norm,
    functional.max_pool2d: _max_pool,
    functional.avg_pool2d: _average_pool,
    functional.adaptive_avg_pool2d: _adaptive_average,
    functional.pad: _pad,
    torch.mean: _mean,
}
METHODS: dict[Any, Reader] = {"mean": _mean}
