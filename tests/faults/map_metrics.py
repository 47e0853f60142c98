"""Map metrics with one planted fault each, and a sound one, for the conformance checks."""

from __future__ import annotations

import torch
from torch import Tensor

from sam_toolkit.component import MapMetric
from sam_toolkit.model import Model
from sam_toolkit.types import Batch, Params, field


class BlurParams(Params):
    steps: int = field(3, ge=1, help="points of the curve")


class Curve(MapMetric[BlurParams]):
    """The mean score after hiding the pixels with the largest values; sound, and the base of what is not."""

    name = "curve"
    reference = "none"

    def rows(self, settings, maps, shape):
        return maps * sum(setting.steps for setting in settings)

    def score(self, model, batch, maps, settings, rng):
        return torch.stack([self.one(model, batch, maps, setting) for setting in settings])

    def one(self, model: Model, batch: Batch, maps: Tensor, setting: BlurParams) -> Tensor:
        ranks = maps.flatten(2).argsort(dim=-1).argsort(dim=-1).view_as(maps) / maps[0, 0].numel()
        inputs = model.inputs(batch.images)
        hidden = [inputs * (ranks < step / setting.steps)[:, :, None] for step in range(1, setting.steps + 1)]
        rows = torch.stack(hidden).flatten(0, 2)
        targets = batch.targets.repeat(setting.steps * len(maps))
        scores = model.scores(lambda start, stop: rows[start:stop], targets, "probability")
        return scores.view(setting.steps, len(maps), -1).double().mean(0)


class RanksMapsTogether(Curve):
    """Scores are relative to the other maps'."""

    def one(self, model, batch, maps, setting):
        scores = super().one(model, batch, maps, setting)
        return scores - scores[:1]


class CountsOneMap(Curve):
    """Rows are promised for one map only."""

    def rows(self, settings, maps, shape):
        return sum(setting.steps for setting in settings)


class SortsMapsInPlace(Curve):
    """The maps are overwritten."""

    def one(self, model, batch, maps, setting):
        scores = super().one(model, batch, maps, setting)
        maps.zero_()
        return scores


class CountsForSquares(Curve):
    """One row more is promised for images that are not square."""

    def rows(self, settings, maps, shape):
        return super().rows(settings, maps, shape) + (shape[1] != shape[2])


class InventsBoxes(Curve):
    """An image without a box gets a score all the same."""

    needs_boxes = True
