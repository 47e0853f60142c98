"""Grad-CAM against captum, and what is said of layers that it cannot use."""

from __future__ import annotations

import pytest
import torch
from nets import colour_batch, colour_model, colour_net
from torch import nn

from sam_toolkit.errors import ComponentError
from sam_toolkit.methods import GradCam
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng

BATCH = colour_batch(3)


@pytest.mark.parametrize("layer", ["0", "1", "2", "3", "4"])
@pytest.mark.parametrize("upsampling", ["bilinear", "nearest"])
@pytest.mark.parametrize("positive", [True, False])
def test_it_is_captum_s(layer: str, upsampling: str, positive: bool) -> None:
    captum = pytest.importorskip("captum.attr")
    net = colour_net()
    found = GradCam(layer=layer, upsampling=upsampling, positive=positive)(net, BATCH.images, BATCH.targets)
    cam = captum.LayerGradCam(net, net[int(layer)])
    grid = cam.attribute(BATCH.images, BATCH.targets, relu_attributions=positive)
    theirs = captum.LayerAttribution.interpolate(grid, (32, 32), interpolate_mode=upsampling)[:, 0]
    torch.testing.assert_close(found, theirs.detach(), atol=1e-6, rtol=1e-5)


def test_the_layer_found_by_itself_is_the_last_with_a_grid() -> None:
    net, with_head = (
        colour_net(),
        nn.Sequential(colour_net()[:5], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)),
    )
    assert torch.equal(*(GradCam(layer=layer)(net, BATCH.images, BATCH.targets) for layer in ("auto", "5")))
    assert torch.equal(*(GradCam(layer=layer)(with_head, BATCH.images, BATCH.targets) for layer in ("auto", "0")))


def test_one_pass_serves_every_layer() -> None:
    settings = [GradCam.setting(layer=layer, positive=positive) for layer in ("1", "4") for positive in (True, False)]
    model = colour_model(chunk=2)
    together = GradCam().maps(model, BATCH, settings, Rng())
    assert model.counted.backward == len(BATCH)
    apart = torch.cat([GradCam().maps(colour_model(), BATCH, [setting], Rng()) for setting in settings])
    torch.testing.assert_close(together, apart, atol=1e-6, rtol=1e-5)
    assert not any(module._forward_hooks for module in model.module.modules())


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("conv", r"layer must be auto or the name of a module .* has no 'conv'"),
        ("7", r"must return activations \[N, C, h, w\] .* '7' of model 'Sequential' does not\. Such layers: 0, 1, 2"),
    ],
)
def test_a_layer_that_cannot_be_used_is_an_error(layer: str, message: str) -> None:
    net = colour_net()
    with pytest.raises(ComponentError, match=message):
        GradCam(layer=layer)(net, BATCH.images, BATCH.targets)
    assert not any(module._forward_hooks for module in net.modules())


def test_a_network_without_grids_is_an_error() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10))
    with pytest.raises(ComponentError, match="Such layers: none"):
        GradCam()(Model(flat), BATCH.images, BATCH.targets)
