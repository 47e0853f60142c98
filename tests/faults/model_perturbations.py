"""Model perturbations with one planted fault each, and a sound one, for the conformance checks."""

from __future__ import annotations

from copy import deepcopy

import torch

from sam_toolkit.component import ModelPerturbation
from sam_toolkit.types import Params, field


class ShiftParams(Params):
    size: float = field(0.1, ge=0, help="how far")
    seed: int = field(0, ge=0, help="of the direction")


class Shift(ModelPerturbation[ShiftParams]):
    """Moves the last bias; sound, and the base of what is not."""

    name = "shift"
    reference = "none"

    def shares(self, params):
        return frozenset({"size"})

    def models(self, model, settings, rng):
        return [self.moved(model, setting, rng.child(setting.seed)) for setting in settings]

    def moved(self, model, setting, stream):
        network = deepcopy(model.module)
        with torch.no_grad():
            network[-1].bias += setting.size * self.drawn(stream)
        return model.holding(network)

    def drawn(self, stream):
        return stream.normal("bias", 0, (10,))


class ShiftInPlace(Shift):
    """The model itself is changed."""

    def moved(self, model, setting, stream):
        with torch.no_grad():
            model.module[-1].bias += setting.size * self.drawn(stream)
        return model


class SharesWeights(Shift):
    """Untouched layers are those of the model."""

    def moved(self, model, setting, stream):
        changed = super().moved(model, setting, stream)
        changed.module[0] = model.module[0]
        return changed


class LosesPreprocessing(Shift):
    """The changed model takes images as they are."""

    def moved(self, model, setting, stream):
        return type(model)(super().moved(model, setting, stream).module, model.name)


class OneForAll(Shift):
    """A group gets one model."""

    def models(self, model, settings, rng):
        return super().models(model, settings[:1], rng)


class ShiftOfFirstSetting(Shift):
    """Every setting of a group gets the first one's size."""

    def models(self, model, settings, rng):
        return super().models(model, [settings[0]] * len(settings), rng)


class IgnoresSeed(Shift):
    """Draws the same whatever the seed of the setting."""

    def models(self, model, settings, rng):
        return [self.moved(model, setting, rng) for setting in settings]


class DrawsFromGlobalState(Shift):
    """Draws from PyTorch's global generator."""

    def drawn(self, stream):
        return torch.randn(10)
