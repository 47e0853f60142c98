"""The copy of a network that runs in sweeps gives what the network gives, up to rounding; else the network runs."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from sam_toolkit.incremental import IncrementalOcclusion
from sam_toolkit.model import Model

SHAPE = (3, 24, 20)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.ZeroPad2d((1, 1, 2, 2)),
        nn.Conv2d(3, 8, 3, stride=2, bias=False),
        nn.BatchNorm2d(8),
        nn.SiLU(),
        nn.Conv2d(8, 16, 3, padding=1, groups=4),
        nn.BatchNorm2d(16, affine=False),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 5),
    )
    for norm in (net[2], net[5]):
        norm.running_mean.normal_(std=0.3)
        norm.running_var.uniform_(0.5, 2)
    nn.init.normal_(net[2].weight, 1, 0.2)
    return net.eval()


def images(count: int = 5) -> torch.Tensor:
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(1))


def gradients(model: Model, inputs: torch.Tensor) -> torch.Tensor:
    targets = torch.arange(len(inputs)) % 5
    return torch.cat([part for _, part in model.gradients(lambda first, stop: inputs[first:stop], targets, "logit")])


def plain(net: nn.Module) -> Model:
    model = Model(net, chunk=4)
    model.faster = False
    return model


def test_batch_norms_and_paddings_are_folded_and_channels_stand_last():
    how = Model(network()).execution(SHAPE)
    assert (how.plain, how.folded, how.merged, how.channels_last) == ("", 2, 1, True)
    assert str(how) == "2 batch norms folded, 1 padding merged, channels last"


def test_logits_and_gradients_are_as_near_the_truth_as_those_of_the_network_itself():
    net, inputs = network(), images()
    exact = plain(deepcopy(net).double())
    for ask in (Model.logits, gradients):
        truth = ask(exact, inputs.double())
        own, copied = ((ask(model, inputs) - truth).norm() for model in (plain(net), Model(net, chunk=4)))
        assert copied < 4 * own + 1e-6 * truth.norm()


def test_the_module_stays_as_it_is():
    net = network().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    layouts = [value.stride() for value in net.parameters()]
    fingerprint = Model(network()).fingerprint
    model = Model(net)
    model.logits(images())
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert [value.stride() for value in net.parameters()] == layouts
    assert model.fingerprint == fingerprint


@pytest.mark.parametrize("change", ["weights", "statistics", "module"])
def test_a_change_of_the_network_is_followed(change):
    model, inputs = Model(network()), images()
    before = model.logits(inputs)
    with torch.no_grad():
        if change == "weights":
            model.module[1].weight.mul_(2)
        elif change == "statistics":
            model.module[2].running_mean.add_(1)
        else:
            model = model.holding(nn.Sequential(network(), nn.Softplus()))
    torch.testing.assert_close(model.logits(inputs), plain(model.module).logits(inputs))
    assert not torch.allclose(model.logits(inputs), before, atol=1e-3)


class Branching(nn.Module):
    """Looks at its input, which no trace can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def forward(self, inputs):
        return self.net(inputs) * (2 if inputs.isfinite().all() else 3)


def test_what_cannot_be_traced_runs_as_it_is():
    model = Model(Branching(), chunk=4)
    assert model.execution(SHAPE).plain == "torch.fx cannot trace it (TraceError)"
    assert torch.equal(model.logits(images()), plain(Branching()).logits(images()))


class Noisy(nn.Module):
    """Gives something else each time."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)

    def forward(self, inputs):
        found = self.convolution(inputs).mean(dim=(2, 3))
        return found + torch.rand_like(found)


def test_what_differs_from_its_copy_runs_as_it_is():
    assert Model(Noisy()).execution(SHAPE).plain == "a copy of it gives other results"


def test_hooks_see_every_call():
    model, seen = Model(network()), []
    model.logits(images())
    model.module[3].register_forward_hook(lambda module, inputs, result: seen.append(len(result)))
    model.logits(images())
    assert seen == [5]
    assert model.execution(SHAPE).plain == "it has hooks"


def test_it_can_be_left_out():
    assert str(plain(network()).execution(SHAPE)) == "as it is: it is asked for"


def test_bfloat16_is_another_network_near_the_first():
    model, inputs = Model(network(), chunk=4), images()
    rounded = model.computing("bfloat16")
    assert rounded.fingerprint != model.fingerprint == model.computing("float32").fingerprint
    assert str(rounded.execution(SHAPE)).endswith("channels last, in bfloat16")
    for ask in (Model.logits, gradients):
        exact, found = ask(model, inputs), ask(rounded, inputs)
        assert found.dtype == torch.float32
        assert 1e-4 < (found - exact).norm() / exact.norm() < 0.05
    assert "in bfloat16" in IncrementalOcclusion(rounded).why_dense(SHAPE, [(0, 0, 4, 4)])
