"""Guided backpropagation against captum on modules, and by hand where captum sees nothing."""

from __future__ import annotations

import pytest
import torch
from nets import colour_batch, colour_model, colour_net
from torch import Tensor, nn
from torch.nn import functional

from sam_toolkit.errors import ComponentError
from sam_toolkit.methods import Gradient, GuidedBackprop

BATCH = colour_batch(3)


class _Functional(nn.Module):
    """`colour_net` with its activations called as functions, each in a way of its own."""

    def __init__(self, first: object, second: object) -> None:
        super().__init__()
        self.net, self.first, self.second = colour_net(), first, second

    def forward(self, inputs: Tensor) -> Tensor:
        conv1, _, pool, conv2, _, *head = self.net
        hidden = self.second(conv2(pool(self.first(conv1(inputs)))))  # type: ignore[operator]
        for layer in head:
            hidden = layer(hidden)
        return hidden


def guided(net: nn.Module, images: Tensor = BATCH.images) -> Tensor:
    return GuidedBackprop(channels="sum")(net, images, BATCH.targets)


def test_it_is_captum_s_on_relu_modules() -> None:
    captum = pytest.importorskip("captum.attr")
    net = colour_net()
    with pytest.warns(UserWarning, match="Setting backward hooks on ReLU"):
        theirs = captum.GuidedBackprop(net).attribute(BATCH.images.clone().requires_grad_(), BATCH.targets)
    torch.testing.assert_close(guided(net), theirs.sum(dim=1).detach(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (functional.relu, torch.relu),
        (torch.relu_, Tensor.relu),
        (lambda values: functional.relu(values, inplace=True), lambda values: functional.relu(input=values)),
        (nn.ReLU(inplace=True), nn.Hardtanh(0, 1e6)),
        (lambda values: functional.hardtanh(values, min_val=0.0, max_val=1e6), functional.relu_),
    ],
)
def test_functions_in_place_and_clipped_ones_count_like_modules(first: object, second: object) -> None:
    torch.testing.assert_close(guided(_Functional(first, second)), guided(colour_net()), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("relu6", [nn.ReLU6(), nn.ReLU6(inplace=True), functional.relu6])
def test_relu6_blocks_above_six_and_negative_gradients(relu6: object) -> None:
    values = torch.tensor([[-1.0, 2.0, 5.0, 7.0]])
    weights = torch.tensor([1.0, -3.0, 4.0, 5.0])

    class Net(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return (relu6(inputs * 1.0) * weights).sum(dim=(1, 2, 3))[:, None]  # type: ignore[operator]

    found = GuidedBackprop(channels="sum")(Net(), values[None, None], 0)
    assert found.tolist() == [[[0.0, 0.0, 4.0, 0.0]]]


@pytest.mark.parametrize("activation", [nn.SiLU(), nn.GELU(), nn.Hardtanh(), nn.LeakyReLU()])
def test_a_network_without_relu_is_refused_by_name(activation: nn.Module) -> None:
    with pytest.raises(ComponentError, match=r"must call ReLU or ReLU6 .* model '_Functional' does not"):
        guided(_Functional(activation, activation))


def test_the_network_is_as_before_afterwards() -> None:
    model = colour_model()
    before = Gradient()(model, BATCH.images, BATCH.targets)
    GuidedBackprop()(model, BATCH.images, BATCH.targets)
    assert torch.equal(Gradient()(model, BATCH.images, BATCH.targets), before)
    assert not any(module._forward_hooks or module._backward_hooks for module in model.module.modules())


@pytest.mark.parametrize("name", ["googlenet", "squeezenet1_0"])
def test_it_differs_from_the_gradient_on_real_architectures(name: str) -> None:
    models = pytest.importorskip("torchvision.models")
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = getattr(models, name)(weights=None, **options).eval()
    images = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    plain, found = (method(channels="sum")(net, images, [3])[0] for method in (Gradient, GuidedBackprop))
    correlation = torch.corrcoef(torch.stack([plain.flatten(), found.flatten()]))[0, 1]
    assert correlation < 0.9
