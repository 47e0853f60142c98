"""Pointing game."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sam_toolkit.component import MapMetric
from sam_toolkit.metrics.evidence import Sign, strength
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch, Params, field


class PointingGameParams(Params):
    """Hyperparameters of the pointing game."""

    tolerance: float = field(0.0, ge=0, help="largest distance in pixels from a box that still is a hit")
    sign: Sign = field("signed", help="signed: the largest value points; absolute: the largest without its sign")


class PointingGame(MapMetric[PointingGameParams]):
    """Whether the map's maximum lies in a box of the image: 1, 0, or the fraction of equal maxima that do.

    The original has a tolerance of 15 pixels on photographs of about 500.
    """

    name = "pointing-game"
    reference = "Zhang et al., Top-down Neural Attention by Excitation Backprop, 2018, arXiv:1608.00507"
    needs_boxes = True

    def shares(self, params: PointingGameParams) -> frozenset[str]:
        """Return the tolerance: maxima and distances are found once."""
        return frozenset({"tolerance"})

    def score(
        self, model: Model, batch: Batch, maps: Tensor, settings: Sequence[PointingGameParams], rng: Rng
    ) -> Tensor:
        """Return the hits of maps `[M, N, H, W]` as float64 `[S, M, N]`; NaN where an image has no box."""
        height, width = maps.shape[-2:]
        distances = _distances(batch, (height, width)).to(maps.device)
        maps = strength(maps, settings[0].sign)
        maxima = (maps == maps.amax(dim=(-2, -1), keepdim=True)).double()
        hits = [(maxima * (distances <= setting.tolerance)).sum(dim=(-2, -1)) for setting in settings]
        annotated = distances.amin(dim=(-2, -1)).isfinite()
        return torch.where(annotated, torch.stack(hits) / maxima.sum(dim=(-2, -1)), torch.nan)


def _distances(batch: Batch, size: tuple[int, int]) -> Tensor:
    """Return the distance `[N, H, W]` of pixels to their image's nearest box; infinite without one."""
    distances = torch.full((len(batch), *size), torch.inf, dtype=torch.float64)
    for image, y0, x0, y1, x1 in [] if batch.boxes is None else batch.boxes.tolist():
        down, across = _gaps(y0, y1, size[0]), _gaps(x0, x1, size[1])
        distances[image] = torch.minimum(distances[image], torch.hypot(down[:, None], across))
    return distances


def _gaps(start: int, stop: int, side: int) -> Tensor:
    """Return how far each position along a side is from start to stop - 1; 0 within."""
    positions = torch.arange(side, dtype=torch.float64)
    return torch.maximum(start - positions, positions - (stop - 1)).clamp(min=0)
