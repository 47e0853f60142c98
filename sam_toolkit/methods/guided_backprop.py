"""Guided backpropagation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sam_toolkit.activations import Rectified, Rectifier
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
        with Rectified(_guided, cuts=True) as guided:
            gradients = input_gradients(model, batch, settings[0].score)
        if not guided.found:
            raise ComponentError(
                f"GuidedBackprop: the network must call ReLU or ReLU6 where PyTorch can see it; model {model.name!r} "
                "does not (other activations and scripted modules don't count). Use the gradient instead."
            )
        return torch.stack([
            reduce_channels(gradients_in(setting.space, gradients, model), setting.channels) for setting in settings
        ])  # fmt: skip

    def differentiable(self, params: GuidedBackpropParams) -> bool:
        """Return False: it is no gradient of a function that stays when ReLUs are smoothed."""
        return False

    def rows(self, settings: Sequence[GuidedBackpropParams], shape: tuple[int, int, int]) -> int:
        """Return 1."""
        return 1


def _guided(relu: Rectifier) -> Tensor:
    result: Tensor = _GuidedReLU.apply(relu.values, relu.ceiling, relu.in_place)
    return result


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
