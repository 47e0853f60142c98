"""Small networks and inputs like those of captum's own tests: ramps of pixels, few features, ReLUs and pooling."""

from __future__ import annotations

import torch
from torch import Tensor, nn

RAMP = 0.01 * torch.arange(100.0).reshape(1, 1, 10, 10)
FEATURES = torch.tensor([[20.0, 50.0, 30.0], [0.0, 100.0, 0.0]]).reshape(2, 1, 1, 3)


def weights(module: nn.Module) -> nn.Module:
    """Return the module in evaluation mode, with the same small weights every time."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for value in module.parameters():
            value.copy_(torch.randn(value.shape, generator=generator) * 0.4)
    return module.eval()


def convolutional() -> nn.Module:
    """Return a network of two convolutions with pooling, for `RAMP`."""
    return weights(
        nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 10), nn.Softmax(dim=1),
        )
    )  # fmt: skip


def layered() -> nn.Module:
    """Return a network of three linear layers, for `FEATURES`."""
    return weights(nn.Sequential(nn.Flatten(), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)))


CASES: list[tuple[nn.Module, Tensor, Tensor]] = [
    (convolutional(), torch.cat([RAMP, RAMP.flip(3)]), torch.tensor([0, 3])),
    (layered(), FEATURES, torch.tensor([0, 1])),
]
