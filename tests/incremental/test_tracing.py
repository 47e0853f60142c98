"""Graphs that write in place nowhere, and modules that have none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sam_toolkit.incremental.tracing import NotTraced, trace


def again(function: Callable[[Tensor], Tensor]) -> nn.Module:
    class Plain(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return function(images * 1)

    return Plain()


def late_look(values: Tensor) -> Tensor:
    changed = functional.relu(values, inplace=True)
    return changed + values


def sums(values: Tensor) -> Tensor:
    values += 1
    values.mul_(2)
    torch.relu_(values)
    return values - values.sum()


@pytest.mark.parametrize("function", [late_look, sums])
def test_what_was_written_in_place_is_seen_by_all_who_look_later(function: Callable[[Tensor], Tensor]) -> None:
    module, images = again(function), torch.randn(2, 3, 4, 4)
    assert torch.equal(trace(module)(images), module(images))


def writes(values: Tensor) -> Tensor:
    values[:, 0] = 1
    return values


def writes_to_a_view(values: Tensor) -> Tensor:
    view = values[:, :2]
    view.relu_()
    return values + 1


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (again(writes), "item assignment"),
        (again(writes_to_a_view), "view of"),
        (again(lambda values: values.zero_()), "writes into an activation"),
        (nn.Bilinear(2, 2, 2), "needs more than images: input2"),
    ],
)
def test_what_cannot_be_traced_says_why(module: nn.Module, why: str) -> None:
    with pytest.raises(NotTraced, match=why):
        trace(module)


def test_weights_are_shared_and_modes_are_not() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True)).train()
    traced = trace(module)
    assert traced.get_parameter("0.weight") is module[0].weight
    assert module.training
    assert module[1].inplace
