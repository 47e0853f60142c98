"""Guided backpropagation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from sam_toolkit.errors import ComponentError
from sam_toolkit.methods.channels import ChannelMethod, ChannelParams, gradients_in, reduce_channels
from sam_toolkit.methods.gradient import input_gradients
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch


class GuidedBackpropParams(ChannelParams):
    """Hyperparameters of guided backpropagation."""


class GuidedBackprop(ChannelMethod[GuidedBackpropParams]):
    """The gradient with its negative part cut off at each ReLU on the way back.

    Every ReLU and ReLU6 that the network calls counts, as a module or as a function. A network without any is refused:
    there it would be the plain gradient under another name.
    """

    name = "guided-backprop"
    reference = "Springenberg et al., Striving for Simplicity, 2014, arXiv:1412.6806"

    def maps(self, model: Model, batch: Batch, settings: Sequence[GuidedBackpropParams], rng: Rng) -> Tensor:
        """Return maps `[S, N, H, W]`, one pass for all settings; ComponentError where the network has no ReLU."""
        with _Guided() as guided:
            gradients = input_gradients(model, batch, settings[0].score)
        if not guided.found:
            raise ComponentError(
                f"GuidedBackprop: the network must call ReLU or ReLU6 where PyTorch can see it; model {model.name!r} "
                "does not (other activations and scripted modules don't count). Use the gradient instead."
            )
        return torch.stack([
            reduce_channels(gradients_in(setting.space, gradients, model), setting.channels) for setting in settings
        ])  # fmt: skip

    def rows(self, settings: Sequence[GuidedBackpropParams], shape: tuple[int, int, int]) -> int:
        """Return 1."""
        return 1


_RELU = {functional.relu, functional.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}
_HARDTANH = {functional.hardtanh, functional.hardtanh_}
_IN_PLACE = {functional.relu_, torch.relu_, Tensor.relu_, functional.hardtanh_}


class _Guided(TorchFunctionMode):
    """While it is entered, ReLUs send back the positive part of what comes; counts those that ran."""

    found = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        ceiling = _ceiling(func, args, kwargs)
        if ceiling is None:
            return func(*args, **kwargs)
        self.found += 1
        position = 3 if func in _HARDTANH else 1
        in_place = func in _IN_PLACE or kwargs.get("inplace", args[position] if len(args) > position else False)
        return _GuidedReLU.apply(args[0] if args else kwargs["input"], ceiling, in_place)


def _ceiling(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> float | None:
    """Return where a call that is a ReLU cuts off at the top, None for any other call."""
    if func in _RELU:
        return math.inf
    if func is functional.relu6:
        return 6.0
    if func in _HARDTANH:
        low, high = (
            kwargs.get(name, args[place] if len(args) > place else usual)
            for place, name, usual in ((1, "min_val", -1.0), (2, "max_val", 1.0))
        )
        return float(high) if low == 0 else None
    return None


class _GuidedReLU(torch.autograd.Function):
    """A ReLU, cut off at `ceiling`, that lets only positive gradients back."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, ceiling: float, in_place: bool) -> Tensor:
        active = (values > 0) & (values < ceiling)
        ctx.save_for_backward(active)
        if not in_place:
            return values.clamp(0, ceiling)
        ctx.mark_dirty(values)
        return values.clamp_(0, ceiling)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (active,) = ctx.saved_tensors
        return torch.where(active, gradients[0].clamp(min=0), 0), None, None
