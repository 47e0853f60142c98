"""Where masks start: the smallest disc whose hiding suppresses the target's score, noise, or nothing hidden."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, hypot
from typing import Literal, NamedTuple

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from sam_toolkit.methods.soft_masks import Cover, Scenes
from sam_toolkit.model import Score


class Discs(NamedTuple):
    """Soft discs in the middle of an image, from none at all to the largest.

    Attributes:
        cover: what hides, and how.
        step: from one radius to the next.
        largest: the last radius; None: the first that covers the image.
        sigma: standard deviation of the blur of the discs.
        unit: what these three are measured in.
    """

    cover: Cover
    step: float
    largest: float | None
    sigma: float
    unit: Literal["pixel", "cell"]

    def radii(self, height: int, width: int) -> list[float]:
        """Return the radii for images `[height, width]`, from 0 on."""
        far = hypot(*(side / 2 for side in self._sides(height, width)))
        count = ceil(far / self.step) if self.largest is None else int(self.largest / self.step + 1e-9)
        return [self.step * index for index in range(count + 1)]

    def masks(self, height: int, width: int) -> Tensor:
        """Return the masks `[R, size, size]`, float64, 0 where a disc hides and 1 where it does not."""
        size = self.cover.upsampling.size
        cells = [side / size for side in self._sides(height, width)]
        down, across = ((np.arange(size) + 0.5 - size / 2) * cell for cell in cells)
        distances = np.hypot(down[:, None], across)
        discs = distances < np.array(self.radii(height, width))[:, None, None]
        sigmas = [self.sigma / cell for cell in cells]
        return 1 - torch.from_numpy(gaussian_filter(discs.astype(np.float64), sigmas, mode="nearest", axes=(1, 2)))

    def _sides(self, height: int, width: int) -> tuple[float, float]:
        size = self.cover.upsampling.size
        return (height, width) if self.unit == "pixel" else (size, size)


class Circular(NamedTuple):
    """Masks start as the smallest disc that suppresses the score by that share of the largest one's drop."""

    discs: Discs
    suppression: float


class Random(NamedTuple):
    """Masks start as uniform noise, a draw an image."""

    seed: int


Start = Circular | Random | None
"""How masks start; None: with nothing hidden."""


class Search:
    """The target's score of each image under each disc."""

    def __init__(self, discs: Discs, scenes: Scenes, score: Score) -> None:
        """Send every image under every disc through the network."""
        batch, cover = scenes.batch, discs.cover
        height, width = batch.images.shape[-2:]
        self._masks = discs.masks(height, width)
        views = [scenes.view(cover, image, cover.jitter.rest) for image in range(len(batch))]
        masks = self._masks.to(scenes.model.device)

        def build(start: int, stop: int) -> Tensor:
            rows = [divmod(row, len(masks)) for row in range(start, stop)]
            return torch.stack([views[image].under(masks[radius]) for image, radius in rows])

        scores = scenes.model.scores(build, batch.targets.repeat_interleave(len(masks)), score)
        self._scores = scores.view(len(batch), -1).double().cpu()

    def smallest(self, suppression: float) -> Tensor:
        """Return each image's mask `[N, size, size]` of the smallest disc that does more than a share `suppression`.

        The share is of what the largest disc does to the score; where that is nothing, the largest is taken.
        """
        first, last = self._scores[:, :1], self._scores[:, -1:]
        enough = (self._scores - last) / (first - last) < 1 - suppression
        enough[:, -1] = True
        return self._masks[enough.byte().argmax(dim=1)]


def first_masks(start: Start, size: int, searches: Mapping[Discs, Search], scenes: Scenes) -> Tensor:
    """Return the masks `[N, size, size]`, float64, that a run starts from."""
    match start:
        case Circular(discs, suppression):
            return searches[discs].smallest(suppression)
        case Random(seed):
            stream = scenes.rng.child("init", seed)
            return torch.stack([stream.uniform(name, 0, (size, size)) for name in scenes.batch.ids]).double()
        case None:
            return torch.ones(len(scenes.batch), size, size, dtype=torch.float64)
