"""The gradient of SSIM: the kernel against differentiation of the reference, and SSIM as a loss."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from sam_toolkit import ops
from sam_toolkit.errors import OpError
from sam_toolkit.ops import reference

UNIFORM, GAUSSIAN = [0.2] * 5, [0.25, 0.5, 0.25]


def drawn(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1).to(dtype)


def assert_same(gradient: Tensor, maps: Tensor, pairs: Tensor, taps: list[float], sample: bool = True) -> None:
    found = torch.ops.sam_toolkit.ssim_backward(gradient, maps, pairs, taps, 2.0, sample)
    expected = reference.ssim_backward(gradient, maps, pairs, taps, 2.0, sample)
    assert found.dtype == maps.dtype
    tolerance = 1e-10 if maps.dtype == torch.float64 else 1e-5
    largest = max(float(expected.abs().max()), 1e-3) if expected.numel() else 1.0  # a map with itself: 0
    torch.testing.assert_close(found / largest, expected / largest, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("taps", [UNIFORM, GAUSSIAN], ids=["uniform", "gaussian"])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_the_kernel_is_the_derivative_of_the_reference(
    compiled: None, offset: float, whole: bool, taps: list[float], dtype: torch.dtype
) -> None:
    maps = (drawn(2, 3, 19, 23) + offset).to(dtype)
    pairs = torch.tensor([[0, 1], [2, 1], [0, 0], [1, 0]])
    size = (19 - len(taps) + 1, 23 - len(taps) + 1) if whole else ()
    assert_same(drawn(2, 4, *size, dtype=dtype, seed=1), maps, pairs, taps)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_it_is_so_for_any_shape_and_pairs(compiled: None, data: st.DataObject) -> None:
    taps = data.draw(st.sampled_from([GAUSSIAN, UNIFORM, [1 / 7] * 7]))
    images, count, pairs = (data.draw(st.integers(low, high)) for low, high in ((0, 2), (1, 4), (0, 5)))
    height, width = (data.draw(st.integers(len(taps), 24)) for _ in range(2))
    chosen = torch.tensor(data.draw(st.lists(st.integers(0, count - 1), min_size=2 * pairs, max_size=2 * pairs)))
    assert_same(
        drawn(images, pairs, seed=1), drawn(images, count, height, width), chosen.long().reshape(-1, 2), taps,
        data.draw(st.booleans()),
    )  # fmt: skip


def test_a_loss_of_one_pair_a_row_brings_maps_together(backend: str) -> None:
    target = drawn(2, 1, 24, 24)
    start = target / 2 + drawn(2, 1, 24, 24, seed=1) / 2
    moving = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([moving], lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        loss = 1 - ops.ssim(torch.cat([target, moving], dim=1), torch.tensor([[0, 1]])).mean()
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    assert (moving - target).abs().mean() < 0.5 * (start - target).abs().mean()


def test_it_meets_the_rules_of_pytorch(compiled: None) -> None:
    arguments = (drawn(2, 1), drawn(2, 3, 9, 8), torch.tensor([[0, 2]]), UNIFORM, 2.0, True)
    torch.library.opcheck(torch.ops.sam_toolkit.ssim_backward.default, arguments)


def test_a_second_gradient_is_refused_and_the_reference_named(compiled: None) -> None:
    maps = drawn(2, 9, 8).requires_grad_()
    (first,) = torch.autograd.grad(ops.ssim(maps, torch.tensor([[0, 1]])).sum(), maps, create_graph=True)
    with pytest.raises(OpError, match=r"differentiated once.*SAM_TOOLKIT_OPS=reference"):
        first.sum().backward()


def test_the_kernel_refuses_a_gradient_of_another_shape(compiled: None) -> None:
    with pytest.raises(RuntimeError, match=r"ssim_backward: gradient must be \[B, P\]"):
        torch.ops.sam_toolkit.ssim_backward(drawn(1, 2), drawn(1, 2, 9, 9), torch.tensor([[0, 1]]), UNIFORM, 2.0, True)
