"""The kernel of `occlude` and `assemble`, against loops over windows."""

from __future__ import annotations

import numpy as np
import pytest
from cuda_on_cpu.harness import ORDERS, Out

BOXES = np.array([[0, 0, 0, 3, 2], [1, 2, 1, 5, 7], [1, 0, 0, 5, 8], [0, 4, 7, 5, 8], [0, 1, 5, 4, 6]])
PATCHED = np.array([[0, 0, 0, 3, 2], [1, 2, 6, 5, 8], [1, 1, 3, 4, 5], [0, 2, 0, 5, 2]])
WINDOWS = np.array([[-1, -2], [3, 5], [9, 0], [1, -(2**62)]])  # over corners, and wholly outside
PAD = 7
WORDS = {np.uint16: "assemble_16", np.uint32: "assemble_32", np.uint64: "assemble_64"}
KERNELS = [*WORDS.items(), (np.uint32, "assemble_large")]
LAYOUTS = pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels-last"])


def laid_out(images, last):
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1) if last else images)


def grid(channels, height, width, last):
    return [1, height, width, channels] if last else [channels, height, width, 1]


def drawn(shape, dtype, seed=0):
    return np.random.default_rng(seed).integers(10, 60000, shape).astype(dtype)


@pytest.mark.parametrize("order", ORDERS)
@LAYOUTS
@pytest.mark.parametrize(("dtype", "kernel"), KERNELS)
@pytest.mark.parametrize("kind", [0, 1], ids=["colour", "image"])
def test_only_the_boxes_are_filled(simulator, kind, dtype, kernel, last, order):
    images = drawn((2, 3, 5, 8), dtype)
    content = drawn((3,), dtype, 1) if kind == 0 else drawn(images.shape, dtype, 1)
    expected = images[BOXES[:, 0]].copy()
    for row, (image, y0, x0, y1, x1) in zip(expected, BOXES, strict=True):
        filling = content[image] if kind else np.broadcast_to(content[:, None, None], row.shape)
        row[:, y0:y1, x0:x1] = filling[:, y0:y1, x0:x1]
    sizes = np.array(grid(3, 5, 8, last) * 3)
    filling = laid_out(content, last) if kind else content
    arguments = (laid_out(images, last), BOXES, filling, WINDOWS, sizes, kind, len(BOXES), 0)
    out = Out(laid_out(expected, last).shape, dtype)
    (found,) = simulator.call("assemble", kernel, *arguments, out, order=order)
    np.testing.assert_array_equal(found, laid_out(expected, last))


@pytest.mark.parametrize("width", [6, 8, 16])
@LAYOUTS
@pytest.mark.parametrize(("dtype", "kernel"), KERNELS)
def test_windows_show_the_changed_image_and_pad_outside(simulator, dtype, kernel, last, width):
    base, height = drawn((2, 4, 5, 8), dtype), 4
    patches = drawn((len(PATCHED), 4, 3, 2), dtype, 1)
    expected = np.full((len(PATCHED), 4, height, width), PAD, dtype)
    for p, (image, y0, x0, y1, x1) in enumerate(PATCHED):
        changed = base[image].copy()
        changed[:, y0:y1, x0:x1] = patches[p]
        for y in range(height):
            for x in range(width):
                row, column = WINDOWS[p] + (y, x)
                if 0 <= row < 5 and 0 <= column < 8:
                    expected[p, :, y, x] = changed[:, row, column]
    sizes = np.array([*grid(4, 5, 8, last), *grid(4, height, width, last), *grid(4, 3, 2, last)])
    arguments = (laid_out(base, last), PATCHED, laid_out(patches, last), WINDOWS, sizes, 2, len(PATCHED), PAD)
    out = Out(laid_out(expected, last).shape, dtype)
    (found,) = simulator.call("assemble", kernel, *arguments, out)
    np.testing.assert_array_equal(found, laid_out(expected, last))


def test_an_image_of_more_runs_than_a_block_has_threads(simulator):
    images = drawn((1, 3, 37, 40), np.uint32)
    boxes = np.array([[0, 5, 7, 20, 33]])
    expected = images.copy()
    expected[0, :, 5:20, 7:33] = np.array([1, 2, 3])[:, None, None]
    arguments = (images, boxes, np.array([1, 2, 3], np.uint32), WINDOWS, np.array(grid(3, 37, 40, False) * 3), 0, 1, 0)
    (found,) = simulator.call("assemble", "assemble_32", *arguments, Out(images.shape, np.uint32))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("divisor", [1, 2, 3, 7, 56, 224, 641, 2**16 - 1, 2**16, 2**30 - 1, 2**30, 2**31 - 1])
def test_multiplying_divides_exactly(plain, divisor):
    random = np.random.default_rng(0).integers(0, 2**31, 10000)
    multiples = np.arange(0, 2**31, divisor * max(1, 2**31 // divisor // 1000))
    indices = np.concatenate([random, multiples, multiples[1:] - 1, [2**31 - 1]]).astype(np.int32)
    (found,) = plain.call("assemble", "divide", indices, len(indices), divisor, Out(indices.shape, np.int32))
    np.testing.assert_array_equal(found, indices // np.int32(divisor))
