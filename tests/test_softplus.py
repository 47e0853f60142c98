"""The softplus twin against networks written with softplus, and by its limit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from nets import colour_batch, colour_model, colour_net
from torch import Tensor, nn
from torch.nn import functional

from sam_toolkit.errors import ModelError
from sam_toolkit.model import Model
from sam_toolkit.softplus import softplus_twin

VALUES = torch.linspace(-9, 9, 60).reshape(3, 20)


class _Called(nn.Module):
    """A network that is one call."""

    def __init__(self, call: object) -> None:
        super().__init__()
        self.call = call

    def forward(self, inputs: Tensor) -> Tensor:
        return self.call(inputs.clone())  # type: ignore[operator,no-any-return]


def smooth(values: Tensor, beta: float) -> Tensor:
    return torch.log1p(torch.exp(beta * values.double())) / beta


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
@pytest.mark.parametrize(
    ("call", "slope", "ceiling"),
    [
        (nn.ReLU(), 0, None),
        (nn.ReLU(inplace=True), 0, None),
        (functional.relu, 0, None),
        (torch.relu_, 0, None),
        (lambda values: values.relu(), 0, None),
        (lambda values: (functional.relu_(values), values)[1], 0, None),
        (nn.ReLU6(inplace=True), 0, 6),
        (functional.relu6, 0, 6),
        (nn.Hardtanh(0, 4), 0, 4),
        (nn.LeakyReLU(0.1), 0.1, None),
        (lambda values: functional.leaky_relu(values, 0.2, inplace=True), 0.2, None),
        (functional.leaky_relu_, 0.01, None),
        (nn.PReLU(init=0.3), 0.3, None),
    ],
)
def test_each_rectifier_has_its_smooth_form(call: object, slope: float, ceiling: float | None, beta: float) -> None:
    expected = smooth(VALUES, beta)
    if ceiling is not None:
        expected = expected - smooth(VALUES - ceiling, beta)
    expected = slope * VALUES.double() + (1 - slope) * expected
    found = softplus_twin(Model(_Called(call)), beta).logits(VALUES)
    torch.testing.assert_close(found.double(), expected, atol=3e-6, rtol=1e-6)


def test_a_parametric_relu_keeps_a_slope_a_channel() -> None:
    call = nn.PReLU(2)
    call.weight.data = torch.tensor([0.1, 0.5])
    images = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    net = nn.Sequential(call, nn.Flatten())
    slopes = torch.tensor([0.1, 0.5]).double()[:, None, None]
    expected = slopes * images.double() + (1 - slopes) * smooth(images, 2.0)
    torch.testing.assert_close(
        softplus_twin(Model(net), 2.0).logits(images).double(), expected.flatten(1), atol=1e-6, rtol=1e-6
    )


def test_the_twin_is_the_same_network_written_with_softplus_and_the_original_stays() -> None:
    model = colour_model()
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    written = colour_net()
    written[1], written[4] = nn.Softplus(2.0), nn.Softplus(2.0)
    inputs = model.inputs(colour_batch(3).images)
    expected = model.logits(inputs)
    twin = softplus_twin(model, 2.0)
    torch.testing.assert_close(twin.logits(inputs), written(inputs), atol=1e-6, rtol=1e-6)
    assert twin.counted.forward == 3
    assert model.counted.forward == 3
    assert torch.equal(model.logits(inputs), expected)
    assert all(torch.equal(before[name], value) for name, value in model.module.state_dict().items())
    assert isinstance(model.module[1], nn.ReLU)


def test_a_sharp_twin_is_the_original() -> None:
    model = colour_model()
    inputs = model.inputs(colour_batch(3).images)
    torch.testing.assert_close(softplus_twin(model, 1e5).logits(inputs), model.logits(inputs), atol=1e-3, rtol=1e-3)


def test_the_twin_s_gradient_has_a_gradient_where_the_original_s_has_none() -> None:
    images = colour_batch(2).images

    def curvature(model: Model) -> float:
        inputs = images.clone().requires_grad_()
        ((_, gradients),) = model.gradients(lambda start, stop: inputs[start:stop], torch.tensor([3, 4]), "logit")
        (found,) = torch.autograd.grad(gradients.square().sum(), inputs)
        return float(found.abs().max())

    model = Model(colour_net())
    assert curvature(model) == 0
    assert curvature(softplus_twin(model)) > 0


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: nn.Threshold(0.1, 0.0), "linear in pieces"),
        (lambda: nn.Hardtanh(-1, 1), "linear in pieces"),
        (lambda: torch.jit.script(nn.ReLU()), "is scripted"),
        (lambda: torch.compile(nn.ReLU()), "is compiled"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
def test_a_part_that_cannot_be_smoothed_is_named(make: Callable[[], nn.Module], why: str) -> None:
    net = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Sequential(nn.ReLU(), make()))
    with pytest.raises(ModelError, match=rf"no softplus twin: 1\.1 \(.*\) (is )?{why}"):
        softplus_twin(Model(net))
