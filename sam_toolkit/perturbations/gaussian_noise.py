"""Gaussian noise on the image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sam_toolkit.component import Perturbation
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch, Params, field


class GaussianNoiseParams(Params):
    """Hyperparameters of Gaussian noise."""

    sigma: float = field(0.1, ge=0, help="standard deviation in image units, where images are in [0, 1]")
    seed: int = field(0, ge=0, help="seed of the noise; the draw is the same for every sigma, and scaled")
    clip: bool = field(True, help="whether noisy images are clipped to [0, 1]")


class GaussianNoise(Perturbation[GaussianNoiseParams]):
    """Independent Gaussian noise on every pixel and channel, added at network size.

    An image's noise is addressed by its id alone: models of one input size see the same noisy image.
    """

    name = "gaussian-noise"
    reference = "Bansal et al., SAM: The Sensitivity of Attribution Methods to Hyperparameters, CVPR 2020"

    def shares(self, params: GaussianNoiseParams) -> frozenset[str]:
        """Return the fields that need no draw of their own."""
        return frozenset({"sigma", "clip"})

    def images(self, model: Model, batch: Batch, settings: Sequence[GaussianNoiseParams], rng: Rng) -> Tensor:
        """Return noisy images `[S, N, C, H, W]`."""
        stream = rng.child(settings[0].seed)
        draws = torch.stack([stream.normal(image_id, 0, batch.images.shape[1:]) for image_id in batch.ids])
        noise = draws.to(batch.images)
        return torch.stack([_add(batch.images, noise, setting) for setting in settings])


def _add(images: Tensor, noise: Tensor, setting: GaussianNoiseParams) -> Tensor:
    noisy = images + setting.sigma * noise
    return noisy.clamp(0, 1) if setting.clip else noisy
