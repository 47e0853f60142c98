"""Small networks with the same random weights every time."""

from __future__ import annotations

import torch
from torch import nn

from sam_toolkit.images import Preprocessing
from sam_toolkit.model import Model
from sam_toolkit.types import Batch


def colour_net(seed: int = 0) -> nn.Sequential:
    """Return a classifier of images `[N, 3, 32, 32]` into 10 classes."""
    return _net(channels=3, pooled=8, seed=seed)


def grey_net(seed: int = 0) -> nn.Sequential:
    """Return a classifier of images `[N, 1, 28, 28]` into 10 classes."""
    return _net(channels=1, pooled=7, seed=seed)


def colour_model(seed: int = 0, chunk: int = 32) -> Model:
    """Return `colour_net` as a model that normalises its images."""
    preprocessing = Preprocessing(crop=32, resize=None, mean=(0.48, 0.46, 0.41), std=(0.23, 0.22, 0.225))
    return Model(colour_net(seed), "colour", preprocessing=preprocessing, chunk=chunk)


def _net(channels: int, pooled: int, seed: int) -> nn.Sequential:
    net = nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(pooled),
        nn.Flatten(),
        nn.Linear(16 * pooled**2, 10, bias=False),
    )
    generator = torch.Generator().manual_seed(seed)
    for layer in net:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, generator=generator)
    return net.eval()


def colour_batch(count: int = 2, size: tuple[int, int] = (32, 32), seed: int = 1) -> Batch:
    """Return a batch of random images `[N, 3, H, W]`, targets 3, 4, ..."""
    images = torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))
    return Batch.of(images, [3 + i for i in range(count)])
