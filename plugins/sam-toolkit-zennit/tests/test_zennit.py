from __future__ import annotations

import pytest
import torch
from torch import nn

pytest.importorskip("zennit", reason="zennit is not installed: pip install zennit")

from sam_toolkit_zennit import sam_toolkit_components
from torchvision.models.resnet import BasicBlock, ResNet
from zennit.attribution import Gradient
from zennit.composites import COMPOSITES
from zennit.torchvision import ResNetCanonizer, VGGCanonizer

import sam_toolkit
from sam_toolkit import ComponentError, Model, Preprocessing
from sam_toolkit.testing import check_method, small_batch, small_model

METHODS = {component.name: component for component in sam_toolkit_components()}


def weights(module):
    """Return the module in evaluation mode, with the same weights and statistics every time."""
    generator = torch.Generator().manual_seed(5)
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            drawn = 0.3 * torch.randn(value.shape, generator=generator)
            value.copy_(drawn.abs() + 0.5 if "var" in name else drawn)
    return module.eval()


def vgg():
    return weights(
        nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
            nn.Linear(24, 5),
        )
    )  # fmt: skip


def resnet():
    net = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=5)
    net.layer3, net.layer4, net.fc = nn.Sequential(), nn.Sequential(), nn.Linear(128, 5)
    return weights(net)


@pytest.mark.parametrize("name", METHODS)
def test_every_composite_keeps_the_contract_of_methods(name):
    component = METHODS[name]()
    settings = [component.params, component.params.varied(channels="abs-max")]
    settings += [component.params.varied(start="logit")] if name == "zennit-epsilon-plus" else []
    check_method(component, settings, small_model(), small_batch((16, 16)))


def test_every_composite_of_zennit_is_a_method():
    assert {method.composite for method in METHODS.values()} == set(COMPOSITES.values())


@pytest.mark.parametrize(("network", "canonizer"), [(vgg, VGGCanonizer), (resnet, ResNetCanonizer)])
@pytest.mark.parametrize("name", METHODS)
def test_maps_are_those_of_zennit_called_directly(network, canonizer, name):
    net, images = network(), small_batch((16, 16)).images[:2]
    model = Model(net, preprocessing=Preprocessing(crop=16))
    setting = {"epsilon": 0.1} if "epsilon" in METHODS[name].Params.model_fields else {}
    asked = {**setting, "canonizers": [canonizer()]}
    if name == "zennit-epsilon-gamma-box":
        setting["gamma"] = asked["gamma"] = 0.4
        mean, std = (torch.tensor(each)[:, None, None].expand(2, 3, 16, 16) for each in (
            model.preprocessing.mean, model.preprocessing.std
        ))  # fmt: skip
        asked |= {"low": -mean / std, "high": (1 - mean) / std}
    found = METHODS[name](**setting)(model, images, [3, 1])
    with Gradient(net, METHODS[name].composite(**asked)) as attribute:
        _, expected = attribute(model.inputs(images), torch.eye(5)[[3, 1]])
    torch.testing.assert_close(found, expected.sum(1), rtol=1e-4, atol=1e-6)


def test_hyperparameters_reach_the_rules():
    net, images = vgg(), small_batch((16, 16)).images
    for name, field, values in (
        ("zennit-epsilon-plus", "epsilon", (1e-6, 1.0)),
        ("zennit-epsilon-plus", "zero_bias", (False, True)),
        ("zennit-epsilon-gamma-box", "gamma", (0.0, 1.0)),
        ("zennit-excitation-backprop", "stabilizer", (1e-6, 1.0)),
        ("zennit-beta-smooth", "beta_smooth", (1.0, 10.0)),
    ):
        first, second = (METHODS[name](**{field: value})(net, images, 1) for value in values)
        assert not torch.allclose(first, second), field


def test_relevance_is_conserved_from_the_logit_without_biases():
    net, images = vgg(), small_batch((16, 16)).images
    for part in net:
        if getattr(part, "bias", None) is not None:
            part.bias.data.zero_()
        if hasattr(part, "running_mean"):
            part.running_mean.zero_()
    maps = METHODS["zennit-epsilon-plus-flat"](start="logit")(net, images, [0, 2, 4])
    torch.testing.assert_close(maps.sum((1, 2)), net(images)[range(3), [0, 2, 4]].detach(), rtol=1e-3, atol=1e-4)


def test_guided_backprop_is_ours():
    net, images = vgg(), small_batch((16, 16)).images
    ours = sam_toolkit.GuidedBackprop(channels="sum", score="logit")(net, images, 1)
    theirs = METHODS["zennit-guided-backprop"](canonizer="none")(net, images, 1)
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-6)


def test_the_network_keeps_its_weights_also_where_zennit_fails(monkeypatch):
    net, images = vgg(), small_batch((16, 16)).images
    before = {name: value.clone() for name, value in net.state_dict().items()}
    monkeypatch.setattr(Gradient, "forward", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        METHODS["zennit-epsilon-plus"]()(net, images, 1)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.modules())


def test_a_network_that_merging_would_change_is_refused():
    class BeforeTheConvolution(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.normal, self.second = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1)

        def forward(self, x):
            return self.second(self.first(self.normal(x)).sigmoid()).mean((2, 3))

    net, images = weights(BeforeTheConvolution()), small_batch((16, 16)).images
    with pytest.raises(ComponentError, match=r"canonizer 'auto' changes what model 'before' computes.*canonizer: none"):
        METHODS["zennit-epsilon-plus"]()(Model(net, "before"), images, 1)
    assert METHODS["zennit-deconvnet"](canonizer="none")(Model(net, "before"), images, 1).any()
