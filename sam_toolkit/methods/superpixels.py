"""Superpixels: pieces of an image that belong together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.segmentation import quickshift, slic
from torch import Tensor

from sam_toolkit.errors import ComponentError


@dataclass(frozen=True)
class Slic:
    """Clusters of like colour and place, grown from a regular grid (Achanta et al., SLIC, TPAMI 2012)."""

    segments: int
    compactness: float
    sigma: float

    def cut(self, image: Tensor) -> NDArray[np.int64]:
        """Return the labels `[H, W]` of an image `[C, H, W]`."""
        labels: NDArray[np.int64] = slic(
            _in_bytes(image), n_segments=self.segments, compactness=self.compactness, sigma=self.sigma, start_label=0
        )
        return labels


@dataclass(frozen=True)
class Quickshift:
    """Trees of pixels, each a step closer to where colour and place are dense (Vedaldi and Soatto, ECCV 2008)."""

    kernel_size: float
    max_dist: float
    ratio: float

    def cut(self, image: Tensor) -> NDArray[np.int64]:
        """Return the labels `[H, W]` of an image `[C, H, W]`."""
        labels: NDArray[np.int64] = quickshift(
            _in_bytes(image),
            kernel_size=self.kernel_size,
            max_dist=self.max_dist,
            ratio=self.ratio,
            rng=42,  # breaks ties; scikit-image's default, which lime leaves as it is
        )
        return labels


@dataclass(frozen=True)
class Grid:
    """About `segments` rectangles, as close to squares as they fit."""

    segments: int

    def cut(self, image: Tensor) -> NDArray[np.int64]:
        """Return the labels `[H, W]` of an image `[C, H, W]`."""
        height, width = image.shape[-2:]
        down = min(height, max(1, round((self.segments * height / width) ** 0.5)))
        across = min(width, max(1, round(self.segments / down)))
        rows, columns = np.arange(height) * down // height, np.arange(width) * across // width
        labels: NDArray[np.int64] = rows[:, None] * across + columns
        return labels


Superpixels = Slic | Quickshift | Grid
"""A way to cut images, with all its numbers; equal ones cut alike."""


def cut(superpixels: Superpixels, images: Tensor) -> Tensor:
    """Return labels 0, 1, ... of the superpixels of images `[N, C, H, W]`, int64 `[N, H, W]` on the CPU.

    Colours count in whole 255ths; an image with values outside [0, 1] is stretched to fit first. Raises ComponentError
    where colours count and images have neither 1 nor 3 channels.
    """
    return torch.stack([_numbered(superpixels.cut(image)) for image in images.cpu()])


def mean_colours(images: Tensor, labels: Tensor) -> Tensor:
    """Return images `[N, C, H, W]` with each pixel in the mean colour of its superpixel, on the CPU."""
    return torch.stack([_mean_colours(image, own) for image, own in zip(images.cpu(), labels.cpu(), strict=True)])


def _numbered(labels: NDArray[np.int64]) -> Tensor:
    """Return labels without gaps: one for each superpixel that is there."""
    _, numbers = np.unique(labels, return_inverse=True)
    return torch.from_numpy(numbers.reshape(labels.shape))


def _mean_colours(image: Tensor, labels: Tensor) -> Tensor:
    places, pixels = labels.flatten(), image.flatten(1).double()
    sums = pixels.new_zeros(len(image), int(labels.max()) + 1).index_add_(1, places, pixels)
    means = sums / places.bincount()
    return means.to(image.dtype)[:, labels]


def _in_bytes(image: Tensor) -> NDArray[np.uint8]:
    """Return an image `[C, H, W]` as uint8 `[H, W, 3]`."""
    if len(image) not in (1, 3):
        raise ComponentError(
            f"superpixels by colour need images with 1 or 3 channels; got {len(image)}. Set segmentation to grid."
        )
    low, high = min(0.0, float(image.min())), max(1.0, float(image.max()))
    scaled = (image - low) / (high - low) * 255
    return scaled.round().to(torch.uint8).expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()
