"""Occlusion of boxes against loops over pixels."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from sam_toolkit import ops
from sam_toolkit.errors import OpError
from sam_toolkit.ops import reference

DTYPES = [torch.float32, torch.float64]
FILLS = ["number", "channels", "images"]
BOXES = [[0, 0, 0, 2, 3], [1, 1, 2, 5, 7], [1, 4, 0, 5, 1], [0, 0, 0, 5, 7]]


def brute_force(images: Tensor, boxes: Tensor, fill: float | Tensor) -> Tensor:
    rows = []
    for image, y0, x0, y1, x1 in boxes.tolist():
        row = images[image].clone()
        for c in range(images.shape[1]):
            for y in range(y0, y1):
                for x in range(x0, x1):
                    if not isinstance(fill, Tensor):
                        row[c, y, x] = fill
                    else:
                        row[c, y, x] = fill[c] if fill.dim() == 1 else fill[image, c, y, x]
        rows.append(row)
    return torch.stack(rows) if rows else images[:0]


def make_fill(kind: str, images: Tensor) -> float | Tensor:
    if kind == "number":
        return 0.25
    return torch.arange(images.shape[1]).to(images) if kind == "channels" else images.flip(0) + 1


@st.composite
def boxes_in(draw: st.DrawFn, images: int, height: int, width: int) -> Tensor:
    def side(length: int) -> tuple[int, int]:
        start = draw(st.integers(0, length - 1))
        return start, draw(st.integers(start + 1, length))

    def box() -> list[int]:
        (y0, y1), (x0, x1) = side(height), side(width)
        return [draw(st.integers(0, images - 1)), y0, x0, y1, x1]

    return torch.tensor([box() for _ in range(draw(st.integers(0, 5)))], dtype=torch.int64).reshape(-1, 5)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.sampled_from(DTYPES), st.sampled_from(FILLS))
def test_every_pixel_is_the_image_outside_and_the_fill_inside(
    backend: str, data: st.DataObject, dtype: torch.dtype, kind: str
) -> None:
    shape = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)))
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)
    boxes = data.draw(boxes_in(shape[0], shape[2], shape[3]))
    fill = make_fill(kind, images)
    assert torch.equal(ops.occlude(images, boxes, fill), brute_force(images, boxes, fill))


@pytest.mark.parametrize("kind", FILLS)
def test_strided_images_are_read_where_they_lie(backend: str, kind: str) -> None:
    images = torch.rand(2, 7, 5, 3).permute(0, 3, 2, 1)
    fill, boxes = make_fill(kind, images), torch.tensor(BOXES)
    assert torch.equal(ops.occlude(images, boxes, fill), brute_force(images, boxes, fill))


def test_the_images_stay_as_they_were(backend: str) -> None:
    images = torch.rand(2, 3, 5, 7)
    before = images.clone()
    ops.occlude(images, torch.tensor(BOXES), 9.0).zero_()
    assert torch.equal(images, before)


@pytest.mark.parametrize("kind", ["channels", "images"])
def test_gradients_reach_the_image_outside_and_the_fill_inside(backend: str, kind: str) -> None:
    images = torch.rand(2, 2, 5, 7, dtype=torch.float64, requires_grad=True)
    fill = torch.rand((2,) if kind == "channels" else (2, 2, 5, 7), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, f: ops.occlude(x, torch.tensor(BOXES), f), (images, fill))


@pytest.mark.parametrize("kind", ["channels", "images"])
def test_the_compiled_operator_meets_the_rules_of_pytorch(compiled: None, kind: str) -> None:
    images = torch.rand(2, 2, 5, 7, requires_grad=True)
    fill = torch.rand(2) if kind == "channels" else torch.rand(2, 2, 5, 7)
    torch.library.opcheck(torch.ops.sam_toolkit.occlude.default, (images, torch.tensor(BOXES), fill))


@pytest.mark.parametrize("kind", FILLS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels-last"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_result_has_the_dtype_and_the_layout_of_the_images(
    compiled: None, dtype: torch.dtype, layout: torch.memory_format, kind: str
) -> None:
    images = torch.rand(2, 3, 5, 7).to(dtype).contiguous(memory_format=layout)
    fill = make_fill(kind, images)
    ops.reset_calls()
    result = ops.occlude(images, torch.tensor(BOXES), fill)
    assert ops.calls()["occlude"] == {"cpu": 1, "cuda": 0, "reference": 0}
    assert result.dtype == dtype
    assert result.is_contiguous(memory_format=layout)
    assert torch.equal(result, brute_force(images, torch.tensor(BOXES), fill))


def test_large_results_are_written_whole(compiled: None) -> None:
    images = torch.rand(2, 3, 150, 131)
    boxes = torch.tensor([[i % 2, i % 97, i % 61, i % 97 + 1 + i % 53, i % 61 + 1 + i % 70] for i in range(300)])
    fill = torch.rand(2, 3, 150, 131)
    assert torch.equal(ops.occlude(images, boxes, fill), reference.occlude(images, boxes, fill))


def test_one_thread_and_many_give_the_same(compiled: None, restored_threads: None) -> None:
    images, boxes = torch.rand(2, 3, 64, 64), torch.tensor([[i % 2, i, 2, i + 20, 40] for i in range(40)])
    results = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        results.append(ops.occlude(images, boxes))
    assert all(torch.equal(result, reference.occlude(images, boxes, torch.zeros(3))) for result in results)


@pytest.mark.parametrize(
    ("images", "boxes", "fill", "message"),
    [
        ((2, 5, 7), BOXES, 0.0, r"ops\.occlude: images .*\[N, C, H, W\]; got float32 \[2, 5, 7\] on cpu"),
        ((2, 3, 5, 7), [[0, 0, 0, 1]], 0.0, r"boxes must be int64 \[P, 5\] .*got int64 \[1, 4\]"),
        ((2, 3, 5, 7), [[0, 0, 0, 1, 1.0]], 0.0, r"boxes must be int64 \[P, 5\] .*got float32 \[1, 5\]"),
        ((2, 3, 5, 7), [[2, 0, 0, 1, 1]], 0.0, r"boxes\[0\] = \(2, 0, 0, 1, 1\) for 2 images of 5 x 7"),
        ((2, 3, 5, 7), [[-1, 0, 0, 1, 1]], 0.0, r"boxes\[0\] = \(-1, 0, 0, 1, 1\)"),
        ((2, 3, 5, 7), [*BOXES, [0, 3, 0, 3, 1]], 0.0, r"must be non-empty.*boxes\[4\] = \(0, 3, 0, 3, 1\)"),
        ((2, 3, 5, 7), [[0, 0, 4, 1, 3]], 0.0, r"boxes\[0\] = \(0, 0, 4, 1, 3\)"),
        ((2, 3, 5, 7), [[0, -1, 0, 1, 1]], 0.0, r"boxes\[0\] = \(0, -1, 0, 1, 1\)"),
        ((2, 3, 5, 7), [[0, 0, 0, 6, 1]], 0.0, r"boxes\[0\] = \(0, 0, 0, 6, 1\)"),
        ((2, 3, 5, 7), [[0, 0, 0, 5, 8]], 0.0, r"boxes\[0\] = \(0, 0, 0, 5, 8\)"),
        ((2, 3, 5, 7), BOXES, torch.zeros(2), r"fill must be a number, \[C\] = \[3\] or .*; got \[2\]"),
        ((2, 3, 5, 7), BOXES, torch.zeros(1, 3, 5, 7), r"fill must be .*; got \[1, 3, 5, 7\]"),
    ],
)
def test_an_error_names_the_rule_and_the_value(
    backend: str, images: tuple[int, ...], boxes: list[list[float]], fill: float | Tensor, message: str
) -> None:
    with pytest.raises(OpError, match=message):
        ops.occlude(torch.zeros(images), torch.tensor(boxes), fill)


@pytest.mark.parametrize("box", [[2, 0, 0, 1, 1], [0, 0, 0, 6, 1], [0, 0, -1, 1, 1], [0, 2, 0, 2, 1]])
def test_the_kernel_itself_refuses_to_leave_the_image(compiled: None, box: list[int]) -> None:
    with pytest.raises(RuntimeError, match=r"sam_toolkit::occlude: each box .*; got boxes\[0\]"):
        torch.ops.sam_toolkit.occlude(torch.zeros(2, 3, 5, 7), torch.tensor([box]), torch.zeros(3))


@pytest.mark.parametrize("kind", FILLS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_gpu_gives_the_same(dtype: torch.dtype, kind: str) -> None:
    cuda = ops.status()[1]
    if not cuda.loaded or not torch.cuda.is_available():
        pytest.skip(f"the GPU operators cannot run: {cuda.reason or 'PyTorch sees no GPU'}")
    images, boxes = torch.rand(2, 3, 5, 7, dtype=dtype), torch.tensor(BOXES)
    fill = make_fill(kind, images)
    ops.reset_calls()
    result = ops.occlude(images.cuda(), boxes, fill.cuda() if isinstance(fill, Tensor) else fill)
    assert ops.calls()["occlude"]["cuda"] == 1
    assert torch.equal(result.cpu(), brute_force(images, boxes, fill))
