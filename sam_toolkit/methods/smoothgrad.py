"""SmoothGrad."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from sam_toolkit.component import MapFacts
from sam_toolkit.methods.channels import ChannelMethod, ChannelParams, gradients_in, reduce_channels
from sam_toolkit.model import Build, Model
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch, field


class SmoothGradParams(ChannelParams):
    """Hyperparameters of SmoothGrad."""

    samples: int = field(50, ge=1, help="noisy copies of the image that are averaged over")
    spread: float = field(0.15, gt=0, help="standard deviation of the noise, in ranges of the normalised image")
    seed: int = field(0, ge=0, help="seed of the noise; draw i is the same for every spread")
    draws: Literal["nested", "independent"] = field(
        "nested", help="whether the draws of fewer samples are the first of more, or others"
    )
    statistic: Literal["mean", "square", "variance"] = field(
        "mean", help="of the gradients: their mean, their mean square (SmoothGrad-squared) or their variance (VarGrad)"
    )


class SmoothGrad(ChannelMethod[SmoothGradParams]):
    """The mean gradient over copies of the image with Gaussian noise; or its mean square, or its variance.

    The noise has standard deviation spread x (max - min) of the normalised image, all channels together,
    and is not clamped. Settings that differ in `spread` see the same draws (common random numbers), scaled.
    """

    name = "smoothgrad"
    reference = (
        "Smilkov et al., SmoothGrad: removing noise by adding noise, 2017, arXiv:1706.03825; squared: Hooker et al., "
        "A Benchmark for Interpretability Methods, NeurIPS 2019; variance: Adebayo et al., Sanity Checks, 2018"
    )

    def shares(self, params: SmoothGradParams) -> frozenset[str]:
        """Return the fields that need no pass of their own: nested samples are prefixes of one run."""
        shared = super().shares(params) | {"statistic"}
        return shared | {"samples"} if params.draws == "nested" else shared

    def facts(self, params: SmoothGradParams) -> MapFacts:
        """Return that maps are signed unless squares are taken, or absolute values."""
        return MapFacts(signed=params.statistic == "mean" and super().facts(params).signed)

    def maps(self, model: Model, batch: Batch, settings: Sequence[SmoothGradParams], rng: Rng) -> Tensor:
        """Return maps `[S, N, H, W]`, from one run of as many samples as the largest setting has."""
        longest = max(settings, key=lambda setting: setting.samples)
        targets = batch.targets.repeat_interleave(longest.samples)
        passes = model.gradients(_noisy(model, batch, longest, rng), targets, longest.score)
        maps = torch.empty(len(settings), *batch.images[:, 0].shape, device=model.device)
        wanted = {setting.samples for setting in settings}
        for image, samples, moments in _prefix_moments(passes, longest.samples, wanted):
            for place, setting in enumerate(settings):
                if setting.samples == samples:
                    maps[place, image] = _map(setting, moments, model)
        return maps

    def rows(self, settings: Sequence[SmoothGradParams], shape: tuple[int, int, int]) -> int:
        """Return the largest number of samples."""
        return max(setting.samples for setting in settings)


def _noisy(model: Model, batch: Batch, setting: SmoothGradParams, rng: Rng) -> Build:
    """Return what makes noisy inputs: row r is draw r % samples of image r // samples."""
    inputs = model.inputs(batch.images)
    lowest, highest = inputs.flatten(1).aminmax(dim=1)
    scales = (setting.spread * (highest - lowest))[:, None, None, None]
    stream = rng.child(setting.seed)
    if setting.draws == "independent":
        stream = stream.child(setting.samples)

    def build(start: int, stop: int) -> Tensor:
        rows = [divmod(row, setting.samples) for row in range(start, stop)]
        images = [image for image, _ in rows]
        noise = torch.stack([stream.normal(batch.ids[image], draw, inputs.shape[1:]) for image, draw in rows])
        return inputs[images] + scales[images] * noise.to(inputs.device)

    return build


def _prefix_moments(
    passes: Iterable[tuple[int, Tensor]], samples: int, wanted: set[int]
) -> Iterator[tuple[int, int, Tensor]]:
    """Yield, for each image and number of samples wanted, mean and mean square `[2, C, H, W]` of the gradients so far.

    Summed row after row in float64, so that the sizes of chunks leave no trace.
    """
    total = torch.zeros(())
    for first, gradients in passes:
        for row, gradient in enumerate(gradients.double(), first):
            image, before = divmod(row, samples)
            powers = torch.stack([gradient, gradient.square()])
            total = powers if before == 0 else total.add_(powers)
            if before + 1 in wanted:
                yield image, before + 1, total / (before + 1)


def _map(setting: SmoothGradParams, moments: Tensor, model: Model) -> Tensor:
    """Return the map `[H, W]` from mean and mean square of the gradients at the inputs."""
    mean, square = moments
    if setting.statistic == "mean":
        values = gradients_in(setting.space, mean, model)
    else:
        spread = square if setting.statistic == "square" else (square - mean.square()).clamp(min=0)
        values = gradients_in(setting.space, gradients_in(setting.space, spread, model), model)
    return reduce_channels(values, setting.channels)
