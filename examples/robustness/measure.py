"""Accuracies of a network: on images as they are, with noise, and under a strong attack."""

from __future__ import annotations

import torch
from attack import attacked, cross_entropy, margin
from torch import Tensor

from sam_toolkit import Model

ROWS = 250
STEPS, RESTARTS = 100, 3


def accuracy(model: Model, images: Tensor, labels: Tensor) -> float:
    """Return the share of images `[N, C, H, W]` that the model gives their label."""
    return float((model.predict(images) == labels).float().mean())


def noisy(images: Tensor, sigma: float) -> Tensor:
    """Return images with Gaussian noise, cut to [0, 1]."""
    draws = torch.Generator().manual_seed(0)
    return (images + sigma * torch.randn(images.shape, generator=draws)).clamp(0, 1)


def robust_accuracy(model: Model, images: Tensor, labels: Tensor, epsilon: float) -> float:
    """Return the share of images that stay right whatever the attack finds within `epsilon` in L2.

    PGD-20, then PGD-100 from `RESTARTS` starts, in turn on the margin and on the cross-entropy; each on what is left.
    """
    draws = torch.Generator().manual_seed(0)

    def network(images: Tensor) -> Tensor:
        return model.module(model.inputs(images))

    standing = model.predict(images) == labels
    for attempt in range(1 + RESTARTS):
        loss, steps = (margin if attempt % 2 else cross_entropy), (STEPS if attempt else 20)
        for rows in standing.nonzero()[:, 0].split(ROWS):
            found = attacked(network, images[rows], loss(labels[rows]), (epsilon, steps), draws)
            standing[rows] = model.predict(found) == labels[rows]
    return float(standing.float().mean())
