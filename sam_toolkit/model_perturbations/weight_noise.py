"""Gaussian noise on the weights."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Literal

import torch

from sam_toolkit.component import ModelPerturbation
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.types import Params, field


class WeightNoiseParams(Params):
    """Hyperparameters of noise on weights."""

    sigma: float = field(0.01, ge=0, help="standard deviation of the noise")
    noise: Literal["relative", "absolute"] = field(
        "relative", help="relative: each weight times 1 + noise, as in NoiseGrad; absolute: plus noise"
    )
    seed: int = field(0, ge=0, help="seed of the noise; the draw is the same for every sigma, and scaled")


class WeightNoise(ModelPerturbation[WeightNoiseParams]):
    """Independent Gaussian noise on every parameter; running statistics of normalisation layers stay."""

    name = "weight-noise"
    reference = "Bykov et al., NoiseGrad, AAAI 2022, arXiv:2106.10185"

    def shares(self, params: WeightNoiseParams) -> frozenset[str]:
        """Return the fields that need no draw of their own."""
        return frozenset({"sigma", "noise"})

    def models(self, model: Model, settings: Sequence[WeightNoiseParams], rng: Rng) -> list[Model]:
        """Return one noisy copy a setting."""
        stream = rng.child(settings[0].seed)
        noisy = [model.holding(deepcopy(model.module)) for _ in settings]
        copies = zip(*(each.module.named_parameters() for each in noisy), strict=True)
        with torch.no_grad():
            for weights in copies:
                name, first = weights[0]
                drawn = stream.normal(name, 0, first.shape).to(first)
                for setting, (_, weight) in zip(settings, weights, strict=True):
                    weight.add_(setting.sigma * drawn * (weight if setting.noise == "relative" else 1))
        return noisy
