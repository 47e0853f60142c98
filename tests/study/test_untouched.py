"""A component that changes the network fails by name, and what comes after it sees the network as it was."""

from __future__ import annotations

import copy

import pytest
import torch
from nets import colour_net
from small import images
from torch import Tensor, nn

from sam_toolkit import Batch, Model, field, method, run
from sam_toolkit.registry import default_registry


def trained(net: nn.Module) -> None:
    net.train()


def hooked(net: nn.Module) -> None:
    net[1].register_forward_hook(lambda module, inputs, output: output * 2)


def written(net: nn.Module) -> None:
    with torch.no_grad():
        net[0].weight.mul_(2)


def replaced(net: nn.Module) -> None:
    net[1].forward = lambda inputs: inputs


def thawed(net: nn.Module) -> None:
    net[0].weight.requires_grad_(False)


def graded(net: nn.Module) -> None:
    net(torch.rand(1, 3, 32, 32)).sum().backward()


FAULTS = {
    "training": (trained, "another mode of training"),
    "hooks": (hooked, "hooks were left on it"),
    "weights": (written, "weights were written to"),
    "forward": (replaced, "a forward was replaced"),
    "frozen": (thawed, "requires_grad was set"),
    "gradients": (graded, "gradients were left"),
}


@method(reference="Nobody", rows=0)
def meddler(
    model: Model, batch: Batch, *, fault: str = field("training", help="what it does to the network")
) -> Tensor:
    """Zeros, at a price."""
    FAULTS[fault][0](model.module)
    return torch.zeros(len(batch), *batch.images.shape[-2:])


def state(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


@pytest.mark.parametrize("fault", FAULTS)
def test_it_fails_by_name_and_the_rest_is_as_without_it(tmp_path, fault) -> None:
    net = colour_net()
    before, out = state(net), net(torch.ones(1, 3, 32, 32)).detach()
    study = {"compare": [{"along": "settings", "metrics": ["ssim"]}]}
    steps = {"gradient": {"channels": ["mean", "abs-sum"]}}
    given = {"images": images(), "workers": 0}
    registry = default_registry(plugins=False).extended(meddler)
    alone = run({**study, "methods": [steps]}, tmp_path / "alone", models={"net": copy.deepcopy(net)}, **given)
    methods = [{"meddler": {"default": {"fault": fault}}}, steps]
    found = run({**study, "methods": methods}, tmp_path / "both", models={"net": net}, registry=registry, **given)

    assert {failure.method for failure in found.failures} == {"meddler"}
    assert all(FAULTS[fault][1] in failure.error for failure in found.failures)
    assert "Method 'meddler' changed the network" in found.failures[0].error
    scores = [(row.value, row.score) for row in found.rows if row.method == "gradient"]
    assert scores == [(row.value, row.score) for row in alone.rows]
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(net(torch.ones(1, 3, 32, 32)), out)
    assert all(value.requires_grad and value.grad is None for value in net.parameters())
