"""The rectifiers that a network calls, whether as modules or as functions, and how other functions take their place."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_RELU = {functional.relu, functional.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}
_HARDTANH = {functional.hardtanh, functional.hardtanh_}
_LEAKY = {functional.leaky_relu, functional.leaky_relu_}
_PRELU = {functional.prelu, torch.prelu, Tensor.prelu}
_IN_PLACE = {functional.relu_, torch.relu_, Tensor.relu_, functional.hardtanh_, functional.leaky_relu_}


@dataclass(frozen=True)
class Rectifier:
    """A call of a piecewise linear function with a kink at 0.

    Attributes:
        values: what it is called with.
        slope: by what negative values are multiplied: a number, or one a channel.
        ceiling: where it cuts off at the top.
        in_place: whether it writes to `values`.
    """

    values: Tensor
    slope: float | Tensor = 0.0
    ceiling: float = math.inf
    in_place: bool = False

    @property
    def cuts(self) -> bool:
        """Return whether negative values become 0, as ReLU and ReLU6 make them."""
        return not isinstance(self.slope, Tensor) and self.slope == 0

    @classmethod
    def of(cls, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Rectifier | None:
        """Return what a call of PyTorch is, where it is ReLU, ReLU6, leaky ReLU or PReLU; None for any other."""
        call = _Call(func, args, kwargs)
        if func in _RELU:
            return cls(call.values, in_place=call.in_place(1))
        if func is functional.relu6:
            return cls(call.values, ceiling=6.0, in_place=call.in_place(1))
        if func in _HARDTANH and call.argument(1, "min_val", -1.0) == 0:
            return cls(call.values, ceiling=float(call.argument(2, "max_val", 1.0)), in_place=call.in_place(3))
        if func in _LEAKY:
            return cls(call.values, slope=call.argument(1, "negative_slope", 0.01), in_place=call.in_place(2))
        if func in _PRELU:
            weight = call.argument(1, "weight", 0.0)
            return cls(call.values, slope=weight.view(-1, *[1] * max(call.values.dim() - 2, 0)))
        return None


class Rectified(TorchFunctionMode):
    """While it is entered, `instead` is called in place of each rectifier; counts those calls.

    Scripted modules don't show what they call; nor do functions of other libraries.
    """

    def __init__(self, instead: Callable[[Rectifier], Tensor], cuts: bool = False) -> None:
        """Call `instead` of every rectifier, or of those alone that cut negative values off."""
        super().__init__()
        self.found = 0
        self._instead, self._cuts = instead, cuts

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Return what the function in place of `func` does, or `func` itself."""
        kwargs = dict(kwargs or {})
        rectifier = Rectifier.of(func, args, kwargs)
        if rectifier is None or (self._cuts and not rectifier.cuts):
            return func(*args, **kwargs)
        self.found += 1
        return self._instead(rectifier)


@dataclass(frozen=True)
class _Call:
    func: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def values(self) -> Tensor:
        values: Tensor = self.argument(0, "input", None)
        return values

    def argument(self, position: int, name: str, usual: Any) -> Any:
        return self.kwargs.get(name, self.args[position] if len(self.args) > position else usual)

    def in_place(self, position: int) -> bool:
        return self.func in _IN_PLACE or bool(self.argument(position, "inplace", False))
