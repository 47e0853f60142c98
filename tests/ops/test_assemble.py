"""Windows of images with a patch in them, against a loop over pixels."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d

from sam_toolkit import ops
from sam_toolkit.errors import OpError
from sam_toolkit.ops import reference

BOXES = torch.tensor([[0, 0, 0, 3, 2], [1, 2, 6, 5, 8], [1, 1, 3, 4, 5]])
WINDOWS = torch.tensor([[-1, -2], [3, 5], [9, 0]])
LAYOUTS = (torch.contiguous_format, torch.channels_last)


def brute_force(base: Tensor, patches: Tensor, size: tuple[int, int], pad: float) -> Tensor:
    out = torch.full((len(BOXES), base.shape[1], *size), pad, dtype=base.dtype)
    for p, (image, y0, x0, y1, x1) in enumerate(BOXES.tolist()):
        changed = base[image].clone()
        changed[:, y0:y1, x0:x1] = patches[p]
        for y in range(size[0]):
            for x in range(size[1]):
                row, column = int(WINDOWS[p, 0]) + y, int(WINDOWS[p, 1]) + x
                if 0 <= row < base.shape[2] and 0 <= column < base.shape[3]:
                    out[p, :, y, x] = changed[:, row, column]
    return out


@pytest.mark.parametrize("layout", LAYOUTS, ids=["contiguous", "channels-last"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("pad", [0.0, -0.5, -math.inf])
def test_windows_show_the_changed_image_and_pad_outside(
    backend: str, pad: float, dtype: torch.dtype, layout: torch.memory_format
) -> None:
    base = torch.rand(2, 4, 5, 8).to(dtype).contiguous(memory_format=layout)
    patches = torch.rand(3, 4, 3, 2).to(dtype)
    result = ops.assemble(base, BOXES, patches, WINDOWS, (4, 6), pad)
    assert torch.equal(result, brute_force(base, patches, (4, 6), pad))
    if backend == "compiled":
        assert result.is_contiguous(memory_format=layout)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_shapes_and_places(compiled: None, data: st.DataObject) -> None:
    def whole(low: int, high: int) -> int:
        return data.draw(st.integers(low, high))

    images, channels, height, width, count = whole(1, 3), whole(1, 5), whole(1, 9), whole(1, 9), whole(0, 6)
    h, w = whole(1, height), whole(1, width)
    corners = [(whole(0, images - 1), whole(0, height - h), whole(0, width - w)) for _ in range(count)]
    boxes = torch.tensor([[i, y, x, y + h, x + w] for i, y, x in corners]).long().reshape(-1, 5)
    windows = torch.tensor([[whole(-12, 12), whole(-12, 12)] for _ in range(count)]).long().reshape(-1, 2)
    base = torch.rand(images, channels, height, width).contiguous(memory_format=data.draw(st.sampled_from(LAYOUTS)))
    patches, size = torch.rand(count, channels, h, w), (whole(1, 8), whole(1, 8))
    result = ops.assemble(base, boxes, patches, windows, size, 2.0)
    assert torch.equal(result, reference.assemble(base, boxes, patches, windows, size, 2.0))


@pytest.mark.parametrize("pool", [False, True])
def test_it_is_what_a_convolution_or_pooling_reads(backend: str, pool: bool) -> None:
    """The change of a layer's output is that of the same layer on the window that the changed region can reach."""
    base, patch = torch.rand(1, 3, 12, 12), torch.rand(1, 3, 2, 3)
    changed = base.clone()
    changed[:, :, 4:6, 0:3] = patch
    kernel = torch.rand(5, 3, 3, 3)
    window = ops.assemble(
        base, torch.tensor([[0, 4, 0, 6, 3]]), patch, torch.tensor([[2, -1]]), (6, 6), -math.inf if pool else 0
    )
    if pool:
        whole, part = max_pool2d(changed, 3, 1, 1), max_pool2d(window, 3, 1)
    else:
        whole, part = conv2d(changed, kernel, padding=1), conv2d(window, kernel)
    torch.testing.assert_close(part, whole[:, :, 3:7, 0:4])


def test_gradients_reach_the_base_outside_and_the_patch_inside(backend: str) -> None:
    base = torch.rand(2, 2, 5, 8, dtype=torch.float64, requires_grad=True)
    patches = torch.rand(3, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda b, p: ops.assemble(b, BOXES, p, WINDOWS, (4, 6), 1.5), (base, patches))


@pytest.mark.parametrize("layout", LAYOUTS, ids=["contiguous", "channels-last"])
def test_the_compiled_operator_meets_the_rules_of_pytorch(compiled: None, layout: torch.memory_format) -> None:
    base = torch.rand(2, 2, 5, 8).contiguous(memory_format=layout).requires_grad_()
    arguments = (base, BOXES, torch.rand(3, 2, 3, 2), WINDOWS, [4, 6], 0.0)
    torch.library.opcheck(torch.ops.sam_toolkit.assemble.default, arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base": torch.rand(5, 8)}, r"ops\.assemble: base must be .*\[N, C, H, W\]; got float32 \[5, 8\]"),
        ({"patches": torch.rand(3, 4, 2, 2)}, r"each box must be as large as the patches; got boxes\[0\]"),
        ({"patches": torch.rand(3, 3, 3, 2)}, r"patches must have 4 channels, as base; got \[3, 3, 3, 2\]"),
        ({"patches": torch.rand(2, 4, 3, 2)}, r"must be as many; got 3 boxes, 3 windows, 2 patches"),
        ({"windows": WINDOWS.float()}, r"windows must be int64 \[P, 2\] of \(y, x\); got float32 \[3, 2\]"),
        ({"size": (0, 4)}, r"size must be \(height, width\), each at least 1; got \(0, 4\)"),
        ({"boxes": BOXES + torch.tensor([0, 3, 0, 3, 0])}, r"boxes\[0\] = \(0, 3, 0, 6, 2\) for 2 images of 5 x 8"),
    ],
)
def test_an_error_names_the_rule_and_the_value(backend: str, change: dict[str, object], message: str) -> None:
    arguments = {"base": torch.rand(2, 4, 5, 8), "boxes": BOXES, "patches": torch.rand(3, 4, 3, 2), "windows": WINDOWS}
    with pytest.raises(OpError, match=message):
        ops.assemble(**{**arguments, "size": (4, 6), **change})  # type: ignore[arg-type]


def test_the_kernel_itself_refuses_patches_that_do_not_fit(compiled: None) -> None:
    with pytest.raises(RuntimeError, match=r"sam_toolkit::assemble: each box must be as large as the patches"):
        torch.ops.sam_toolkit.assemble(torch.rand(2, 4, 5, 8), BOXES, torch.rand(3, 4, 2, 2), WINDOWS, [4, 6], 0.0)
