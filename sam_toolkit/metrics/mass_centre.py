"""Distance of two maps' centres of mass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sam_toolkit.component import PairMetric, PairScores
from sam_toolkit.metrics.chance import with_chance
from sam_toolkit.types import Params


class MassCentreParams(Params):
    """The distance of centres of mass has no hyperparameters."""


class _Centres(NamedTuple):
    """Centres `[K, N, 2]` in rows and columns, of maps of `size`; `spread` `[K, N]` is explained where it is made."""

    centres: Tensor
    spread: Tensor
    size: tuple[int, int]


class MassCentreDistance(PairMetric[MassCentreParams]):
    """1 less the distance of the centres of mass of two maps' absolute values, in diagonals; NaN for a map of zeros.

    The extra `distance` is in pixels. The chance level takes the root of the mean squared distance to the first map's
    centre, which is exact for the second map's pixels in random places.
    """

    name = "mass-centre-distance"
    reference = "Ghorbani, Abid and Zou, Interpretation of Neural Networks Is Fragile, AAAI 2019, arXiv:1710.10547"
    bounds = (0.0, 1.0)

    def prepare(self, maps: Tensor, settings: Sequence[MassCentreParams]) -> _Centres:
        """Return the centres of maps `[K, N, H, W]`, and how far they would stray with pixels in random places."""
        height, width = maps.shape[-2:]
        weights = maps.double().abs()
        weights = weights / weights.sum((-2, -1), keepdim=True)
        rows, columns = (torch.arange(side, device=maps.device, dtype=torch.float64) for side in (height, width))
        centres = torch.stack([(weights.sum(-1) * rows).sum(-1), (weights.sum(-2) * columns).sum(-1)], dim=-1)
        pixels = height * width
        uneven = (pixels * (weights**2).sum((-2, -1)) - 1) / max(pixels - 1, 1)
        # The mean squared distance of a centre from the middle: what permuting weights makes of the pixels' own.
        spread = uneven * (rows.var(correction=0) + columns.var(correction=0))
        return _Centres(centres, spread, (height, width))

    def compare(self, prepared: _Centres, pairs: Tensor, settings: Sequence[MassCentreParams]) -> PairScores:
        """Return the closeness of each pair's centres as values `[S, P, N]`, and their distance."""
        a, b = pairs.unbind(1)
        height, width = prepared.size
        diagonal = max(math.hypot(height - 1, width - 1), 1)
        distance = (prepared.centres[a] - prepared.centres[b]).norm(dim=-1)
        middle = prepared.centres.new_tensor([(height - 1) / 2, (width - 1) / 2])
        stray = ((prepared.centres[a] - middle) ** 2).sum(-1) + prepared.spread[b]
        shape = (len(settings), *distance.shape)
        values, chance = ((1 - each / diagonal).expand(shape) for each in (distance, stray.sqrt()))
        return with_chance(values, chance, distance=distance.expand(shape))
