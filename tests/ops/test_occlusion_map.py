"""Occlusion maps against loops over boxes in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from sam_toolkit import ops
from sam_toolkit.errors import OpError

BOXES = [[0, 0, 0, 2, 3], [1, 1, 2, 5, 7], [1, 4, 0, 5, 1], [0, 0, 0, 4, 5]]


def brute_force(scores: Tensor, boxes: Tensor, size: tuple[int, int, int]) -> Tensor:
    result = torch.zeros(size, dtype=torch.float64)
    for image in range(size[0]):
        for y in range(size[1]):
            for x in range(size[2]):
                over = [
                    Fraction(score)
                    for score, (own, y0, x0, y1, x1) in zip(scores.tolist(), boxes.tolist(), strict=True)
                    if own == image and y0 <= y < y1 and x0 <= x < x1
                ]
                result[image, y, x] = float(sum(over) / len(over)) if over else 0.0
    return result


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.integers(0, 12), st.sampled_from([torch.float32, torch.float64]))
def test_a_pixel_is_the_mean_of_the_boxes_over_it(backend: str, seed: int, count: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(seed)
    size = (2, *torch.randint(1, 9, (2,), generator=generator).tolist())
    start = [torch.randint(0, length, (count,), generator=generator) for length in size]
    sides = [torch.randint(1, 9, (count,), generator=generator) for _ in size]
    ends = [(at + side).clamp(max=length) for at, side, length in zip(start, sides, size, strict=True)]
    boxes = torch.stack([*start, *ends[1:]], dim=1)
    scores = torch.randn(count, generator=generator, dtype=dtype)
    result = ops.occlusion_map(scores, boxes, size)
    assert result.dtype == dtype
    tolerance = 1e-6 if dtype == torch.float32 else 1e-13
    torch.testing.assert_close(result.double(), brute_force(scores, boxes, size), rtol=0, atol=tolerance)


def test_a_pixel_under_no_box_is_exactly_zero(backend: str) -> None:
    scores = torch.tensor([0.1, -0.7, 1e6, 3.3], dtype=torch.float64)
    result = ops.occlusion_map(scores, torch.tensor(BOXES), (2, 5, 7))
    assert torch.equal(result[0, 4], torch.zeros(7, dtype=torch.float64))
    assert torch.equal(result[1, 0], torch.zeros(7, dtype=torch.float64))


def test_gradients_reach_the_scores(backend: str) -> None:
    scores = torch.rand(4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: ops.occlusion_map(s, torch.tensor(BOXES), (2, 5, 7)), scores)


def test_the_compiled_operator_meets_the_rules_of_pytorch(compiled: None) -> None:
    scores = torch.rand(4, requires_grad=True)
    torch.library.opcheck(torch.ops.sam_toolkit.occlusion_map.default, (scores, torch.tensor(BOXES), 2, 5, 7))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_gpu_gives_the_same_bits(compiled: None, dtype: torch.dtype) -> None:
    cuda = ops.status()[1]
    if not cuda.loaded or not torch.cuda.is_available():
        pytest.skip(f"the GPU operators cannot run: {cuda.reason or 'PyTorch sees no GPU'}")
    boxes = torch.tensor([[i % 7, i % 30, i % 11, i % 30 + 9, i % 11 + 20] for i in range(500)])
    scores = torch.randn(500, 2, generator=torch.Generator().manual_seed(0), dtype=dtype)[:, 1]
    ops.reset_calls()
    result = ops.occlusion_map(scores.cuda(), boxes, (7, 40, 32))
    assert ops.calls()["occlusion_map"]["cuda"] == 1
    assert torch.equal(result.cpu(), ops.occlusion_map(scores, boxes, (7, 40, 32)))


def test_the_mean_of_the_largest_numbers_is_finite(backend: str) -> None:
    scores = torch.full((3,), torch.finfo(torch.float32).max)
    boxes = torch.tensor([[0, 0, 0, 2, 2]] * 3)
    assert torch.equal(ops.occlusion_map(scores, boxes, (1, 2, 2)), scores[0].expand(1, 2, 2))


def test_one_thread_and_many_give_the_same(compiled: None, restored_threads: None) -> None:
    boxes = torch.tensor([[i % 7, i % 30, i % 11, i % 30 + 9, i % 11 + 20] for i in range(500)])
    scores = torch.randn(500, generator=torch.Generator().manual_seed(0))
    results = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        results.append(ops.occlusion_map(scores, boxes, (7, 40, 32)))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize(
    ("scores", "boxes", "size", "message"),
    [
        ([1.0], BOXES, (2, 5, 7), r"ops\.occlusion_map: .* one value a box; got 1 scores for 4 boxes"),
        ([[1.0]], BOXES[:1], (2, 5, 7), r"scores must be .* \[P\]; got float32 \[1, 1\]"),
        ([1], BOXES[:1], (2, 5, 7), r"scores must be a floating-point tensor \[P\]; got int64 \[1\]"),
        ([float("nan")], BOXES[:1], (2, 5, 7), r"scores must be finite; got \[nan\]"),
        ([1.0], BOXES[:1], (2, 1, 7), r"boxes\[0\] = \(0, 0, 0, 2, 3\) for 2 images of 1 x 7"),
        ([1.0], BOXES[:1], (2, 0, 7), r"size must be \(N, H, W\), each at least 1; got \(2, 0, 7\)"),
    ],
)
def test_an_error_names_the_rule_and_the_value(
    backend: str, scores: list[float], boxes: list[list[int]], size: tuple[int, int, int], message: str
) -> None:
    with pytest.raises(OpError, match=message):
        ops.occlusion_map(torch.tensor(scores), torch.tensor(boxes), size)


def test_the_kernel_itself_refuses_to_leave_the_map(compiled: None) -> None:
    with pytest.raises(RuntimeError, match=r"sam_toolkit::occlusion_map: each box .* got boxes\[1\]"):
        torch.ops.sam_toolkit.occlusion_map(torch.zeros(2), torch.tensor(BOXES[:2]), 1, 5, 7)
