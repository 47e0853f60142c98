"""Each operator between two convolutions, in float64: equal to the whole network, and windows where NaN goes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from checks import grid, image_of, initialised, require_exact
from torch import Tensor, nn
from torch.nn import functional

from sam_toolkit.incremental.clean import CleanImage
from sam_toolkit.incremental.geometry import input_region
from sam_toolkit.incremental.program import Program
from sam_toolkit.incremental.tracing import trace

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")

SIZE = (37, 42)
WINDOWS = grid(SIZE, 5, 6)


class Net(nn.Module):
    """A convolution, what is tested, another convolution, and a head."""

    def __init__(self, middle: nn.Module | None = None, function: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.middle = middle or nn.Identity()
        self.function = function
        self.last = nn.LazyConv2d(8, 3, padding=1)
        self.head = nn.Linear(8, 5)

    def forward(self, images: Tensor) -> Tensor:
        values = self.middle(functional.relu(self.first(images)))
        if self.function is not None:
            values = self.function(values)
        values = torch.tanh(self.last(values))
        logits: Tensor = self.head(functional.adaptive_avg_pool2d(values, 1).flatten(1))
        return logits


class Residual(nn.Module):
    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace))
        self.inplace = inplace

    def forward(self, values: Tensor) -> Tensor:
        out = self.body(values)
        if self.inplace:
            out += values
        else:
            out = values + out
        return functional.relu(out, inplace=self.inplace)


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.three = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 6, 3, padding=1)
        self.five = nn.Sequential(nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 5, padding=2))
        self.pool = nn.MaxPool2d(3, 1, 1, ceil_mode=True)

    def forward(self, values: Tensor) -> Tensor:
        return torch.cat([self.one(values), self.three(values), self.five(values), self.pool(values)], 1)


def shuffle(values: Tensor) -> Tensor:
    count, channels, height, width = values.size()
    values = values.view(count, 2, channels // 2, height, width)
    return torch.transpose(values, 1, 2).contiguous().view(count, -1, height, width)


def halves(values: Tensor) -> Tensor:
    left, right = values.chunk(2, dim=1)
    return torch.cat((left, torch.relu(right)), dim=1)


def channels_again(values: Tensor) -> Tensor:
    first = torch.unsqueeze(values[:, 0], 1) * 0.5 + 0.1
    return torch.cat((first, values[:, 1:5]), 1)


MIDDLES: dict[str, Callable[[], nn.Module]] = {
    "convolution": lambda: nn.Conv2d(8, 8, 3),
    "even kernel": lambda: nn.Conv2d(8, 8, (2, 4), padding=(1, 2), bias=False),
    "strided": lambda: nn.Conv2d(8, 8, 3, stride=2, padding=1),
    "strides that differ": lambda: nn.Conv2d(8, 8, (3, 5), stride=(3, 2), padding=(0, 2)),
    "stride beyond the kernel": lambda: nn.Conv2d(8, 8, 1, stride=2),
    "dilated": lambda: nn.Conv2d(8, 8, 3, padding=2, dilation=2),
    "grouped": lambda: nn.Conv2d(8, 12, 3, padding=1, groups=4),
    "depthwise": lambda: nn.Conv2d(8, 16, 5, padding=2, groups=8),
    "padding same": lambda: nn.Conv2d(8, 8, (4, 3), padding="same"),
    "padding valid": lambda: nn.Conv2d(8, 8, 3, padding="valid"),
    "zeros on two sides": lambda: nn.Sequential(nn.ZeroPad2d((0, 1, 2, 1)), nn.Conv2d(8, 8, 3, stride=2)),
    "a border of ones": lambda: nn.Sequential(nn.ConstantPad2d((2, 1, 0, 1), 1.0), nn.ReLU(), nn.Conv2d(8, 8, 3)),
    "maximum": lambda: nn.MaxPool2d(2),
    "maximum, overlapping": lambda: nn.MaxPool2d(3, 2, 1),
    "maximum, ceil mode": lambda: nn.MaxPool2d(3, 2, ceil_mode=True),
    "maximum, dilated": lambda: nn.MaxPool2d(3, 2, 1, dilation=2),
    "average": lambda: nn.AvgPool2d(2),
    "average, padding counted": lambda: nn.AvgPool2d(3, 2, 1),
    "average, padding left out": lambda: nn.AvgPool2d(3, 1, 1, count_include_pad=False),
    "average, ceil mode": lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True),
    "average, divisor": lambda: nn.AvgPool2d(2, 2, divisor_override=3),
    "batch norm folded": lambda: nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU6(True)),
    "batch norm by itself": lambda: nn.Sequential(nn.MaxPool2d(2), nn.BatchNorm2d(8), nn.Hardswish()),
    "activations": lambda: nn.Sequential(nn.GELU(), nn.PReLU(8), nn.SiLU(inplace=True), nn.LeakyReLU(0.1)),
    "dropout": lambda: nn.Sequential(nn.Dropout2d(), nn.Dropout(inplace=True), nn.Identity()),
    "residual": Residual,
    "residual in place": lambda: Residual(inplace=True),
    "branches": Branches,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "pad": lambda values: functional.pad(values, (1, 2, 0, 1)),
    "constants": lambda values: (values - 0.1) * 2 / torch.full((8, 1, 1), 1.5) + 1,
    "product": lambda values: values * torch.sigmoid(values),
    "shuffle": shuffle,
    "halves": halves,
    "transform_input": channels_again,
    "method in place": lambda values: values.mul(2).add_(1).relu_().clamp(0, 3),
    "adaptive": lambda values: functional.adaptive_avg_pool2d(values, SIZE),
}


def made(middle: nn.Module | None, function: Callable[[Tensor], Tensor] | None = None) -> nn.Module:
    net = Net(middle, function)
    net(torch.zeros(1, 3, *SIZE))
    return initialised(net).double()


@pytest.mark.parametrize("name", MIDDLES)
def test_modules_are_exact(name: str) -> None:
    require_exact(made(MIDDLES[name]()), image_of(SIZE, torch.float64), WINDOWS, 1e-9)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_exact(name: str) -> None:
    require_exact(made(None, FUNCTIONS[name]), image_of(SIZE, torch.float64), WINDOWS, 1e-9)


@pytest.mark.parametrize("name", MIDDLES)
def test_windows_are_where_nan_goes(name: str) -> None:
    """NaN in the image goes exactly where a value depends on it: an oracle without any geometry."""
    program = Program(trace(made(MIDDLES[name]())), (3, *SIZE))
    regions = program.regions(input_region(np.array(WINDOWS), SIZE))
    placed = [step.node for step in program.steps if step.node in regions]
    assert len(placed) >= 2
    for position, (y0, x0, y1, x1) in enumerate(WINDOWS[::7]):
        image = image_of(SIZE, torch.float64)[None]
        image[..., y0:y1, x0:x1] = torch.nan
        with torch.no_grad():
            values = CleanImage(program, image).values
        for node in placed:
            region = regions[node].take(np.array([position * 7]))
            rows, columns = values[node].isnan().flatten(0, -3).any(dim=0).nonzero().unbind(1)
            if len(rows) == 0:
                assert region.area == 1
                continue
            assert (int(rows.min()), int(rows.max()) + 1) == (int(region.rows.first[0]), int(region.rows.stop[0])), node
            columns_changed = int(columns.min()), int(columns.max()) + 1
            assert columns_changed == (int(region.columns.first[0]), int(region.columns.stop[0])), node
