"""From a gradient with colour channels to a map: what methods that differentiate have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeVar

from torch import Tensor

from sam_toolkit.component import MapFacts, Method
from sam_toolkit.model import Model, Score
from sam_toolkit.types import Params, field

Channels = Literal["mean", "sum", "abs-mean", "abs-sum", "abs-max"]
"""How the channels of a pixel become one number: signed, or from absolute values."""

Space = Literal["normalised", "pixel"]
"""Where a gradient is taken: at the network's normalised inputs, or at images in [0, 1]."""


class ChannelParams(Params):
    """What every method that differentiates a score lets one choose."""

    conventions: ClassVar[Mapping[str, Mapping[str, Any]]] = {"lens-2024": {"channels": "abs-sum"}}

    score: Score = field("logit", help="what is differentiated: the target's logit or its probability")
    channels: Channels = field("mean", help="how colour channels become one number, signed or absolute")
    space: Space = field("normalised", help="where the gradient is taken: at inputs, or at images in [0, 1]")


P = TypeVar("P", bound=ChannelParams)


class ChannelMethod(Method[P]):
    """A method whose passes through the network serve every reduction of channels and both spaces."""

    gradients = True

    def shares(self, params: P) -> frozenset[str]:
        """Return the fields that need no pass of their own."""
        return frozenset({"channels", "space"})

    def facts(self, params: P) -> MapFacts:
        """Return that maps are signed unless channels are reduced by absolute value."""
        return MapFacts(signed=not params.channels.startswith("abs-"))

    def differentiable(self, params: P) -> bool:
        """Return True."""
        return True


def gradients_in(space: Space, gradients: Tensor, model: Model) -> Tensor:
    """Return gradients `[N, C, H, W]` at the network's inputs as gradients in `space`."""
    return gradients if space == "normalised" else gradients / model.scale()


def reduce_channels(values: Tensor, channels: Channels) -> Tensor:
    """Return values `[..., C, H, W]` as float32 maps `[..., H, W]`."""
    match channels:
        case "mean":
            reduced = values.mean(dim=-3)
        case "sum":
            reduced = values.sum(dim=-3)
        case "abs-mean":
            reduced = values.abs().mean(dim=-3)
        case "abs-sum":
            reduced = values.abs().sum(dim=-3)
        case "abs-max":
            reduced = values.abs().amax(dim=-3)
    return reduced.float()
