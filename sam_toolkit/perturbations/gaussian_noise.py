"""Gaussian noise on the image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

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
    compat: Literal["sam-2020"] | None = field(
        None,
        help="sam-2020: noise is added at the photograph's own size, clipped, cut to 8 bits and resized with it, so "
        "that less is left of it the larger the file; images that were no files are at their own size",
    )


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
        noisy = _at_own_size if settings[0].compat and batch.origins else _at_network_size
        return torch.stack(list(noisy(batch, settings, stream)), dim=1).to(batch.images.device)


def _at_network_size(batch: Batch, settings: Sequence[GaussianNoiseParams], stream: Rng) -> Iterator[Tensor]:
    """Yield each image with the noise of every setting, `[S, C, H, W]`."""
    for name, image in zip(batch.ids, batch.images, strict=True):
        yield _added(image, stream.normal(name, 0, image.shape).to(image), settings)


def _at_own_size(batch: Batch, settings: Sequence[GaussianNoiseParams], stream: Rng) -> Iterator[Tensor]:
    """Yield each image as made of its picture with the noise of every setting, `[S, C, H, W]`."""
    assert batch.origins is not None
    for name, origin in zip(batch.ids, batch.origins, strict=True):
        picture = origin.picture()
        noisy = _added(picture, stream.normal(name, 0, picture.shape), settings)
        yield torch.stack([origin.image(each) for each in noisy])


def _added(image: Tensor, noise: Tensor, settings: Sequence[GaussianNoiseParams]) -> Tensor:
    noisy = [image + setting.sigma * noise for setting in settings]
    return torch.stack(
        [each.clamp(0, 1) if setting.clip else each for each, setting in zip(noisy, settings, strict=True)]
    )
