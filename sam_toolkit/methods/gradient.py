"""Vanilla gradient."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sam_toolkit.methods.channels import ChannelMethod, ChannelParams, gradients_in, reduce_channels
from sam_toolkit.model import Model, Score
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch


class GradientParams(ChannelParams):
    """Hyperparameters of the vanilla gradient."""


class Gradient(ChannelMethod[GradientParams]):
    """The derivative of the target's score with respect to each pixel."""

    name = "gradient"
    reference = "Simonyan, Vedaldi and Zisserman, Deep Inside Convolutional Networks, 2013, arXiv:1312.6034"

    def maps(self, model: Model, batch: Batch, settings: Sequence[GradientParams], rng: Rng) -> Tensor:
        """Return maps `[S, N, H, W]`, one pass for all settings."""
        gradients = input_gradients(model, batch, settings[0].score)
        maps = [
            reduce_channels(gradients_in(setting.space, gradients, model), setting.channels) for setting in settings
        ]
        return torch.stack(maps)

    def rows(self, settings: Sequence[GradientParams], shape: tuple[int, int, int]) -> int:
        """Return 1."""
        return 1


def input_gradients(model: Model, batch: Batch, score: Score) -> Tensor:
    """Return the gradients `[N, C, H, W]` of the targets' scores at the network's inputs."""
    inputs = model.inputs(batch.images)
    passes = model.gradients(lambda start, stop: inputs[start:stop], batch.targets, score)
    return torch.cat([gradients for _, gradients in passes])
