"""RISE."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from sam_toolkit.component import MapFacts, Method
from sam_toolkit.fills import Fill, Filling
from sam_toolkit.model import Model, Score
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch, Params, field

_CHUNK = 64
"""Masks made at once."""


class RiseParams(Params):
    """Hyperparameters of RISE."""

    samples: int = field(4000, ge=1, help="random masks that are averaged over")
    cells: int = field(7, ge=1, help="cells of a mask along each side, before it is enlarged")
    keep: float = field(0.5, gt=0, lt=1, help="probability that a cell is kept")
    fill: Fill = field("mean", help="what hides: mean (0 at inputs), black, blur, noise, a level, a colour")
    blur_sigma: float = field(10.0, gt=0, help="standard deviation of the blur in pixels, where fill is blur")
    seed: int = field(0, ge=0, help="seed of the masks, and of the noise where fill is noise")
    draws: Literal["nested", "independent"] = field(
        "nested", help="whether the masks of fewer samples are the first of more, or others"
    )
    score: Score = field("probability", help="what is averaged: the target's logit or its probability")


class Rise(Method[RiseParams]):
    """The mean of random soft masks, each weighted by the target's score on the image that it leaves.

    A mask is a grid of kept and hidden cells, enlarged bilinearly and shifted by a random part of a cell; the mean is
    divided by the probability to keep.
    """

    name = "rise"
    reference = "Petsiuk, Das and Saenko, RISE, BMVC 2018, arXiv:1806.07421"

    def shares(self, params: RiseParams) -> frozenset[str]:
        """Return the fields that need no pass of their own: nested samples are prefixes of one run."""
        return frozenset({"samples"}) if params.draws == "nested" else frozenset()

    def facts(self, params: RiseParams) -> MapFacts:
        """Return that maps of probabilities are not negative."""
        return MapFacts(signed=params.score == "logit")

    def rows(self, settings: Sequence[RiseParams], shape: tuple[int, int, int]) -> int:
        """Return the largest number of samples."""
        return max(setting.samples for setting in settings)

    def maps(self, model: Model, batch: Batch, settings: Sequence[RiseParams], rng: Rng) -> Tensor:
        """Return maps `[S, N, H, W]`, from one run of as many samples as the largest setting has."""
        longest = max(settings, key=lambda setting: setting.samples)
        masks = _Masks(longest, batch, rng)
        inputs = model.inputs(batch.images)
        filling = Filling.of(longest.fill, longest.blur_sigma, longest.seed)
        hidden = filling.everywhere(model, batch, rng)

        def build(start: int, stop: int) -> Tensor:
            images = torch.arange(start, stop) // longest.samples
            kept = masks.rows(start, stop).to(inputs.device)
            return hidden[images] + kept[:, None] * (inputs - hidden)[images]

        scores = model.scores(build, batch.targets.repeat_interleave(longest.samples), longest.score)
        means = _prefix_means(masks, scores.view(len(inputs), -1).cpu(), {setting.samples for setting in settings})
        return torch.stack([means[setting.samples] / setting.keep for setting in settings]).to(inputs.device)


class _Masks:
    """The masks of a batch: row r is mask r % samples of image r // samples."""

    def __init__(self, setting: RiseParams, batch: Batch, rng: Rng) -> None:
        self._setting, self._names, self._size = setting, batch.ids, tuple(batch.images.shape[-2:])
        stream = rng.child("masks", setting.seed)
        self._stream = stream.child(setting.samples) if setting.draws == "independent" else stream

    def rows(self, start: int, stop: int) -> Tensor:
        """Return masks `[stop - start, H, W]` in [0, 1]."""
        side = self._setting.cells
        steps = [ceil(length / side) for length in self._size]
        places = [divmod(row, self._setting.samples) for row in range(start, stop)]
        drawn = torch.stack([self._stream.uniform(self._names[image], draw, [side**2 + 2]) for image, draw in places])
        cells = (drawn[:, 2:] < self._setting.keep).float().view(-1, 1, side, side)
        enlarged = interpolate(cells, size=[(side + 1) * step for step in steps], mode="bilinear", align_corners=False)
        shifts = (drawn[:, :2] * torch.tensor(steps)).long().tolist()
        height, width = self._size
        return torch.stack([
            mask[0, y : y + height, x : x + width] for mask, (y, x) in zip(enlarged, shifts, strict=True)
        ])  # fmt: skip


def _prefix_means(masks: _Masks, scores: Tensor, wanted: set[int]) -> dict[int, Tensor]:
    """Return, for each number of samples wanted, the means `[N, H, W]` of each image's first masks times scores."""
    images, samples = scores.shape
    found: dict[int, list[Tensor]] = {number: [] for number in wanted}
    for image in range(images):
        total, first = torch.zeros(()), 0
        for stop in sorted({*range(_CHUNK, samples, _CHUNK), *wanted}):
            part = masks.rows(image * samples + first, image * samples + stop).double()
            total = total + torch.tensordot(scores[image, first:stop].double(), part, dims=1)
            first = stop
            if stop in found:
                found[stop].append((total / stop).float())
    return {number: torch.stack(means) for number, means in found.items()}
