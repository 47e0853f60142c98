"""Random signs: a perturbation of an attack's size that looks at nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sam_toolkit.component import Perturbation, Perturbed
from sam_toolkit.model import Model
from sam_toolkit.perturbations.budgets import Budget, BudgetParams, sizes
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch, field


class RandomSignParams(BudgetParams):
    """Hyperparameters of random signs."""

    seed: int = field(0, ge=0, help="seed of the signs; the draw is the same for every eps and norm")


class RandomSign(Perturbation[RandomSignParams]):
    """Every channel of every pixel up or down by the same amount, at random; clipped to [0, 1].

    What an attack of the same size has to be compared with. Labels may change; beside each image stands whether its
    did.
    """

    name = "random-sign"
    reference = "Kamath et al., Rethinking Robustness of Model Attributions, AAAI 2024, arXiv:2312.10534"

    def shares(self, params: RandomSignParams) -> frozenset[str]:
        """Return the fields that need no draw of their own."""
        return frozenset({"eps", "norm"})

    def images(self, model: Model, batch: Batch, settings: Sequence[RandomSignParams], rng: Rng) -> Tensor:
        """Return changed images `[S, N, C, H, W]`."""
        stream, clean = rng.child(settings[0].seed), batch.images
        drawn = torch.stack([stream.uniform(name, 0, clean.shape[1:]) for name in batch.ids]).to(clean)
        signs = 1 - 2 * drawn.round()
        sized = [clean.new_full((len(clean), 1, 1, 1), setting.eps) for setting in settings]
        return torch.stack([
            Budget(clean, eps, setting.norm).step(clean, signs, eps)
            for eps, setting in zip(sized, settings, strict=True)
        ])  # fmt: skip

    def perturbed(self, model: Model, batch: Batch, settings: Sequence[RandomSignParams], rng: Rng) -> Perturbed:
        """Return changed images with how far each moved, and whether its label stayed."""
        images = self.images(model, batch, settings, rng)
        return Perturbed(images, {**sizes(batch.images, images), "label-kept": labels_kept(model, batch, images)})

    def rows(self, settings: Sequence[RandomSignParams], shape: tuple[int, int, int]) -> int:
        """Return one for the clean image and one a setting."""
        return 1 + len(settings)


def labels_kept(model: Model, batch: Batch, images: Tensor) -> Tensor:
    """Return 1 where images `[S, N, C, H, W]` have the clean images' predicted classes, else 0: float64 `[S, N]`."""
    labels = torch.stack([model.predict(one) for one in (batch.images, *images)])
    return (labels[1:] == labels[0]).double()
