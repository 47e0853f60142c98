"""Networks and inputs of captum's own tests, and a small network whose layers have names."""

from __future__ import annotations

import torch
from captum.testing.helpers.basic_models import BasicModel_ConvNet, BasicModel_ConvNet_One_Conv, BasicModel_MultiLayer
from torch import Tensor, nn

RAMP = 0.01 * torch.arange(100.0).reshape(1, 1, 10, 10)


class Rows(BasicModel_MultiLayer):  # type: ignore[misc]
    """Captum's network of three features, of images of one row."""

    def forward(self, images: Tensor) -> Tensor:
        """Return scores `[N, 2]`."""
        scores: Tensor = super().forward(images.flatten(1))
        return scores


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


def captums(network: type[nn.Module], inputs: Tensor, *targets: int) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a network of captum's tests, whose random weights are the same every time, inputs and targets."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(network()).eval(), inputs, torch.tensor(targets)


CASES: list[tuple[nn.Module, Tensor, Tensor]] = [
    (convolutional(), torch.cat([RAMP, RAMP.flip(3)]), torch.tensor([0, 3])),
    captums(BasicModel_ConvNet, 100 * torch.cat([RAMP, RAMP.flip(3)]), 1, 9),
    captums(BasicModel_ConvNet_One_Conv, torch.arange(16.0).reshape(1, 1, 4, 4), 0),
    captums(Rows, torch.tensor([[0.0, 100.0, 0.0], [20.0, 50.0, 30.0]]).reshape(2, 1, 1, 3), 0, 1),
]
