"""What works on each pixel by itself: activations, batch norm that could not be folded, sums and products."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sam_toolkit.incremental.operators.base import Activation, Operator
from sam_toolkit.incremental.values import Place, Windows


class Pointwise(Operator):
    """A function of one activation that treats every pixel alike, and writes to nothing."""

    def __init__(self, function: Activation) -> None:
        super().__init__()
        self.function = function

    def _whole(self, *inputs: Tensor) -> Tensor:
        return self.function(inputs[0])

    def _window(self, inputs: Sequence[Windows], place: Place) -> Tensor:
        return self.function(inputs[0].at(place))


class Alias(Pointwise):
    """Nothing, or a choice of channels: the result may be the input itself."""

    absorbs = False


class Combination(Operator):
    """A sum, difference or product of two activations of one shape."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def _whole(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)

    def _window(self, inputs: Sequence[Windows], place: Place) -> Tensor:
        return self.function(*(one.at(place) for one in inputs))


class Normalisation(Pointwise):
    """Batch norm with the statistics of training, as `scale` and `shift` in float64 for what it can be folded into."""

    def __init__(self, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> None:
        super().__init__(
            lambda values: functional.batch_norm(values, mean, variance, weight, bias, training=False, eps=eps)
        )
        scale = (variance.double() + eps).rsqrt()
        self.scale = scale if weight is None else scale * weight.detach().double()
        self.shift = -mean.double() * self.scale + (0 if bias is None else bias.detach().double())


def writing(function: Any) -> Any:
    """Return an activation that writes to what it is given, where there is such a one."""
    if isinstance(function, nn.Module):
        if hasattr(function, "inplace"):
            function = copy(function)
            function.inplace = True
        return function
    if function is torch.relu:
        return torch.relu_
    inner = function.func if isinstance(function, partial) else function
    try:
        known = "inplace" in inspect.signature(inner).parameters
    except (TypeError, ValueError):
        known = False
    return partial(function, inplace=True) if known else function
