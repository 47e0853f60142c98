"""Pair metrics with one planted fault each, and a sound one, for the conformance checks."""

from __future__ import annotations

import torch
from torch import nn

from sam_toolkit.component import PairMetric, PairScores
from sam_toolkit.types import Params, field


class CosineParams(Params):
    power: int = field(1, ge=1, le=3, help="of the values")


class Cosine(PairMetric[CosineParams]):
    """The cosine of two maps; sound, and the base of what is not."""

    name = "cosine"
    reference = "none"

    def shares(self, params):
        return frozenset({"power"})

    def prepare(self, maps, settings):
        return maps.double().flatten(2)

    def compare(self, prepared, pairs, settings):
        units = [nn.functional.normalize(prepared**setting.power, dim=-1) for setting in settings]
        return PairScores(torch.stack([(unit[pairs[:, 0]] * unit[pairs[:, 1]]).sum(-1) for unit in units]))


class Changed(Cosine):
    """What subclasses do to the values."""

    def compare(self, prepared, pairs, settings):
        return PairScores(self.change(super().compare(prepared, pairs, settings).values, pairs, settings))


class NotOneForItself(Changed):
    """A map is only half like itself."""

    def change(self, values, pairs, settings):
        return values / 2


class NotSymmetric(Changed):
    """The order of a pair matters, and this is not declared."""

    def change(self, values, pairs, settings):
        return torch.where(pairs[:, :1] < pairs[:, 1:], 0.9 * values, values)


class SinglePrecision(Changed):
    """Values are float32."""

    def change(self, values, pairs, settings):
        return values.float()


class OutOfBounds(Changed):
    """Values reach -1, but 0 is promised."""

    bounds = (0.0, 1.0)

    def change(self, values, pairs, settings):
        return values


class ComparesAcrossPairs(Changed):
    """Each value is measured against those of the other pairs."""

    def change(self, values, pairs, settings):
        return torch.where(pairs[:, :1] == pairs[:, 1:], values, values - 0.1 * values.mean(1, keepdim=True))


class SharesFirstSetting(Changed):
    """All settings get the values of the first."""

    def change(self, values, pairs, settings):
        return values[:1].expand(len(settings), -1, -1)


class InfiniteForConstants(Changed):
    """A constant map gives infinity."""

    def change(self, values, pairs, settings):
        return torch.where(values == 0, torch.inf, values)


class RaisesForConstants(Changed):
    """A constant map ends the study."""

    def change(self, values, pairs, settings):
        if bool((values == 0).any()):
            raise ZeroDivisionError("norm")
        return values


class WritesToMaps(Cosine):
    """The maps are centred in place."""

    def prepare(self, maps, settings):
        return super().prepare(maps.sub_(maps.mean()), settings)


class WearsOut(Cosine):
    """What was prepared is changed by the first comparison."""

    def compare(self, prepared, pairs, settings):
        result = super().compare(prepared, pairs, settings)
        prepared.abs_()
        return result


class PreparesTogether(Cosine):
    """Maps are centred by the mean of all of them."""

    def prepare(self, maps, settings):
        return super().prepare(maps - maps.mean(dim=1, keepdim=True), settings)


class AnswersMatrixOtherwise(Cosine):
    """The matrix has zeros on its diagonal."""

    def matrix(self, maps):
        return super().matrix(maps).fill_diagonal_(0)
