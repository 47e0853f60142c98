from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from captum.attr import InputXGradient as CaptumInputXGradient
from captum.attr import Saliency
from nets import colour_batch, colour_model, colour_net
from torch import Tensor, nn

from sam_toolkit.methods import Gradient, InputXGradient
from sam_toolkit.methods.channels import ChannelMethod, reduce_channels
from sam_toolkit.rng import Rng

BATCH = colour_batch(3)
METHODS = [Gradient, InputXGradient]


class _Probabilities(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = colour_net()

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.net(inputs)
        return logits.softmax(dim=1)


@pytest.mark.parametrize(("score", "module"), [("logit", colour_net), ("probability", _Probabilities)])
def test_gradient_at_the_inputs_is_captums(score: str, module: Callable[[], nn.Module]) -> None:
    model = colour_model()
    inputs = model.inputs(BATCH.images)
    expected = Saliency(module()).attribute(inputs.clone().requires_grad_(), target=BATCH.targets, abs=False)
    found = Gradient(score=score)(model, BATCH.images, BATCH.targets)
    torch.testing.assert_close(found, expected.mean(dim=1), atol=1e-6, rtol=1e-6)


def test_input_x_gradient_at_the_inputs_is_captums() -> None:
    model = colour_model()
    inputs = model.inputs(BATCH.images).requires_grad_()
    expected = CaptumInputXGradient(colour_net()).attribute(inputs, target=BATCH.targets)
    found = InputXGradient(channels="sum")(model, BATCH.images, BATCH.targets)
    torch.testing.assert_close(found, expected.sum(dim=1), atol=1e-6, rtol=1e-6)


def test_pixel_space_is_the_gradient_at_the_images() -> None:
    model = colour_model()
    images = BATCH.images.clone().requires_grad_()
    scores = model.module(model.inputs(images)).gather(1, BATCH.targets[:, None])
    (expected,) = torch.autograd.grad(scores.sum(), images)
    found = Gradient(space="pixel")(model, BATCH.images, BATCH.targets)
    torch.testing.assert_close(found, expected.mean(dim=1), atol=1e-6, rtol=1e-5)
    found = InputXGradient(space="pixel")(model, BATCH.images, BATCH.targets)
    torch.testing.assert_close(found, (images * expected).mean(dim=1), atol=1e-6, rtol=1e-5)


def test_a_bare_module_takes_images_as_inputs() -> None:
    images = BATCH.images.clone().requires_grad_()
    net = colour_net()
    (expected,) = torch.autograd.grad(net(images).gather(1, BATCH.targets[:, None]).sum(), images)
    torch.testing.assert_close(Gradient()(net, BATCH.images, BATCH.targets), expected.mean(dim=1), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_one_pass_serves_every_reduction_and_space(method: type[ChannelMethod[Any]]) -> None:
    settings = [
        method.setting(channels=channels, space=space)
        for channels in ("mean", "sum", "abs-mean", "abs-sum", "abs-max")
        for space in ("normalised", "pixel")
    ]
    fields = method().shares(settings[0])
    assert len({setting.without(fields) for setting in settings}) == 1
    model = colour_model()
    maps = method().maps(model, BATCH, settings, Rng())
    assert model.counted.forward == model.counted.backward == method().rows(settings, (3, 32, 32)) * len(BATCH)
    assert maps.shape == (10, 3, 32, 32)
    assert maps.dtype == torch.float32
    for setting, found in zip(settings, maps, strict=True):
        torch.testing.assert_close(found, method(setting)(colour_model(), BATCH.images, BATCH.targets), atol=0, rtol=0)


@pytest.mark.parametrize("method", METHODS)
def test_scores_have_groups_of_their_own(method: type[ChannelMethod[Any]]) -> None:
    assert "score" not in method().shares(method.setting())


@pytest.mark.parametrize("method", METHODS)
def test_neither_batch_nor_chunk_changes_a_map(method: type[ChannelMethod[Any]]) -> None:
    together = method()(colour_model(), BATCH.images, BATCH.targets)
    chunked = method()(colour_model(chunk=2), BATCH.images, BATCH.targets)
    alone = torch.cat([
        method()(colour_model(), image[None], target[None])
        for image, target in zip(BATCH.images, BATCH.targets, strict=True)
    ])  # fmt: skip
    torch.testing.assert_close(chunked, together, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(alone, together, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_model_and_images_are_left_as_found(method: type[ChannelMethod[Any]]) -> None:
    net = colour_net().train()
    images = BATCH.images.clone()
    method()(net, images, BATCH.targets)
    assert net.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())
    assert torch.equal(images, BATCH.images)
    assert not images.requires_grad


def test_channels_reduce_as_they_say() -> None:
    values = torch.tensor([1.0, -4.0, 1.5])[:, None, None].expand(3, 2, 2)
    found = {
        name: float(reduce_channels(values, name)[0, 0]) for name in ("mean", "sum", "abs-mean", "abs-sum", "abs-max")
    }
    assert found == {
        "mean": -0.5,
        "sum": -1.5,
        "abs-mean": pytest.approx(6.5 / 3),
        "abs-sum": 6.5,
        "abs-max": 4.0,
    }


@pytest.mark.parametrize(
    ("channels", "signed"), [("mean", True), ("sum", True), ("abs-sum", False), ("abs-max", False)]
)
def test_maps_are_signed_unless_channels_are_reduced_by_absolute_value(channels: str, signed: bool) -> None:
    method = Gradient(channels=channels)
    assert method.facts(method.params).signed is signed
    assert bool((method(colour_model(), BATCH.images) < 0).any()) is signed
