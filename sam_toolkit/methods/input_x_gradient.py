"""Input times gradient."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sam_toolkit.methods.channels import ChannelMethod, ChannelParams, Space, gradients_in, reduce_channels
from sam_toolkit.methods.gradient import input_gradients
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch, field


class InputXGradientParams(ChannelParams):
    """Hyperparameters of input times gradient."""

    space: Space = field("normalised", help="what is multiplied with its gradient: the input, or the image in [0, 1]")


class InputXGradient(ChannelMethod[InputXGradientParams]):
    """Each pixel times the derivative of the target's score with respect to it."""

    name = "input-x-gradient"
    reference = "Shrikumar et al., Not Just a Black Box, 2016, arXiv:1605.01713"

    def maps(self, model: Model, batch: Batch, settings: Sequence[InputXGradientParams], rng: Rng) -> Tensor:
        """Return maps `[S, N, H, W]`, one pass for all settings."""
        gradients = input_gradients(model, batch, settings[0].score)
        factors: dict[Space, Tensor] = {
            "normalised": model.inputs(batch.images),
            "pixel": batch.images.to(model.device),
        }
        products = {space: factor * gradients_in(space, gradients, model) for space, factor in factors.items()}
        return torch.stack([
            reduce_channels(products[setting.space], setting.channels) for setting in settings
        ])  # fmt: skip

    def rows(self, settings: Sequence[InputXGradientParams], shape: tuple[int, int, int]) -> int:
        """Return 1."""
        return 1
