"""Energy-based pointing game."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sam_toolkit.component import MapMetric
from sam_toolkit.metrics.evidence import Sign, box_masks, strength, union
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch, Params, field


class EnergyInBoxParams(Params):
    """Hyperparameters of the energy in the box."""

    sign: Sign = field("signed", help="signed: only positive values have energy; absolute: negative ones as much")


class EnergyInBox(MapMetric[EnergyInBoxParams]):
    """The share of the map's positive mass that lies in the boxes of the image, also called energy-based pointing game.

    A pixel in several boxes counts once. A map without positive values points nowhere: 0.
    """

    name = "energy-in-box"
    reference = "Wang et al., Score-CAM, CVPR Workshops 2020, arXiv:1910.01279"
    needs_boxes = True

    def score(
        self, model: Model, batch: Batch, maps: Tensor, settings: Sequence[EnergyInBoxParams], rng: Rng
    ) -> Tensor:
        """Return the shares of maps `[M, N, H, W]` as float64 `[S, M, N]`; NaN where an image has no box."""
        annotated, inside = (found.to(maps.device) for found in union(*box_masks(batch, maps)))
        scores = torch.full((len(settings), *maps.shape[:2]), torch.nan, dtype=torch.float64, device=maps.device)
        for number, setting in enumerate(settings):
            energy = strength(maps[:, annotated].double(), setting.sign).clamp(min=0)
            total = energy.sum(dim=(-2, -1))
            share = (energy * inside).sum(dim=(-2, -1)) / total
            scores[number][:, annotated] = torch.where(total > 0, share, 0.0)
        return scores
