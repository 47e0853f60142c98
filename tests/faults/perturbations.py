"""Perturbations with one planted fault each, and a sound one, for the conformance checks."""

from __future__ import annotations

import torch

from sam_toolkit.component import Perturbation
from sam_toolkit.types import Params, field


class NoiseParams(Params):
    sigma: float = field(0.1, ge=0, help="standard deviation")
    seed: int = field(0, ge=0, help="of the noise")


class Noise(Perturbation[NoiseParams]):
    """Gaussian noise; sound, and the base of what is not."""

    name = "noise"
    reference = "none"

    def shares(self, params):
        return frozenset({"sigma"})

    def images(self, model, batch, settings, rng):
        return torch.stack([batch.images + one.sigma * self.noise(batch, rng.child(one.seed)) for one in settings])

    def noise(self, batch, stream):
        return torch.stack([stream.normal(name, 0, batch.images.shape[1:]) for name in batch.ids])


class NoiseByPosition(Noise):
    """One draw for the batch, so that an image's noise depends on where it stands."""

    def noise(self, batch, stream):
        return stream.normal("batch", 0, batch.images.shape)


class NoiseInPlace(Noise):
    """The clean images are overwritten."""

    def images(self, model, batch, settings, rng):
        noisy = super().images(model, batch, settings, rng)
        batch.images.copy_(noisy[0])
        return noisy


class NoiseOfFirstSetting(Noise):
    """Every setting of a group gets the first one's sigma."""

    def images(self, model, batch, settings, rng):
        return super().images(model, batch, [settings[0]] * len(settings), rng)


class LosesChannels(Noise):
    """Images come back grey."""

    def images(self, model, batch, settings, rng):
        return super().images(model, batch, settings, rng).mean(2)
