"""The kernels of `occlusion_map`, against exact arithmetic and, to the last bit, against the CPU's own kernel."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from cuda_on_cpu.harness import ORDERS, Out

from sam_toolkit import ops

FUNCTIONS = {np.float32: "map_float", np.float64: "map_double"}
CORNERS = [[0, 0, 0, 1, 1], [0, 36, 69, 37, 70], [0, 0, 0, 37, 70], [0, 31, 31, 33, 65], [0, 0, 32, 32, 64]]


def drawn_boxes(count, size, seed=0):
    """Return boxes anywhere in images, many of them over a border of tiles; those of an image follow each other."""
    random = np.random.default_rng(seed)
    starts = [random.integers(0, length, count) for length in size]
    ends = [random.integers(at, length) + 1 for at, length in zip(starts[1:], size[1:], strict=True)]
    return np.stack([np.sort(starts[0]), *starts[1:], *ends], axis=1).reshape(-1, 5)


def drawn_scores(count, dtype, seed=0):
    return np.random.default_rng(seed).standard_normal(count).astype(dtype)


def run(simulator, scores, boxes, size, step=1, order="ascending"):
    """Return maps [N, H, W] of scores, each `step` further than the one before it."""
    apart = np.full(max(len(scores) * step, 1), np.nan, scores.dtype)
    apart[: len(scores) * step : step] = scores
    sizes = np.array([step, len(scores), *size])
    rows = boxes if len(boxes) else np.zeros((1, 5), np.int64)
    (found,) = simulator.call(
        "occlusion_map", FUNCTIONS[scores.dtype.type], apart, rows, sizes, Out(size, scores.dtype), order=order
    )
    return found


def exact(scores, boxes, size):
    """Return means of fractions, rounded once."""
    totals, covering = np.full(size, Fraction(0), object), np.zeros(size, int)
    for score, (image, y0, x0, y1, x1) in zip(scores, boxes, strict=True):
        totals[image, y0:y1, x0:x1] += Fraction(float(score))
        covering[image, y0:y1, x0:x1] += 1
    return (totals / np.maximum(covering, 1)).astype(scores.dtype)


def on_cpu(scores, boxes, size):
    """Return what the CPU's kernel makes of the same."""
    if not ops.status()[0].loaded:
        pytest.skip(f"the CPU operators are not there: {ops.status()[0].reason}")
    return ops.occlusion_map(torch.from_numpy(scores), torch.from_numpy(boxes), size).numpy()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("size", [(1, 1, 1), (2, 7, 43), (3, 37, 33), (2, 33, 150)], ids=str)
@pytest.mark.parametrize("dtype", FUNCTIONS)
def test_a_pixel_is_the_mean_of_the_boxes_over_it(simulator, dtype, size, order):
    boxes, scores = drawn_boxes(50, size), drawn_scores(50, dtype)
    found = run(simulator, scores, boxes, size, order=order)
    np.testing.assert_allclose(found, exact(scores, boxes, size), rtol=0, atol=1e-14 if dtype is np.float64 else 1e-7)
    np.testing.assert_array_equal(found, on_cpu(scores, boxes, size))


@pytest.mark.parametrize("box", CORNERS, ids=str)
def test_a_box_covers_its_own_pixels_at_the_borders_of_images_and_tiles(simulator, box):
    expected = np.zeros((1, 37, 70), np.float32)
    expected[0, box[1] : box[3], box[2] : box[4]] = -2.5
    found = run(simulator, np.array([-2.5], np.float32), np.array([box]), expected.shape)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("order", [*ORDERS, 1, 2])
@pytest.mark.parametrize("mixed", [False, True], ids=["image by image", "images mixed"])
def test_neither_threads_nor_boxes_have_an_order(simulator, mixed, order):
    size = (4, 20, 40)
    boxes, scores = drawn_boxes(600, size), drawn_scores(600, np.float64)
    expected = on_cpu(scores, boxes, size)
    if mixed:
        shuffled = np.random.default_rng(1).permutation(len(boxes))
        boxes, scores = boxes[shuffled], scores[shuffled]
    np.testing.assert_array_equal(run(simulator, scores, boxes, size, order=order), expected)


def test_without_boxes_all_is_zero(simulator):
    none = np.zeros((0, 5), np.int64)
    found = run(simulator, np.zeros(0, np.float32), none, (2, 3, 5))
    np.testing.assert_array_equal(found, np.zeros((2, 3, 5), np.float32))


@pytest.mark.parametrize("size", [(0, 3, 5), (2, 0, 5), (2, 3, 0)], ids=str)
def test_without_pixels_nothing_is_launched(plain, size):
    assert run(plain, np.zeros(0, np.float32), np.zeros((0, 5), np.int64), size).shape == size


def test_an_image_without_boxes_among_others_is_zero(plain):
    size = (3, 5, 7)
    boxes = drawn_boxes(20, size)
    boxes[:, 0] = boxes[:, 0] // 2 * 2
    found = run(plain, drawn_scores(20, np.float32), boxes, size)
    np.testing.assert_array_equal(found[1], np.zeros(size[1:], np.float32))


def test_scores_may_lie_apart(simulator):
    size = (2, 9, 11)
    boxes, scores = drawn_boxes(40, size), drawn_scores(40, np.float32)
    np.testing.assert_array_equal(run(simulator, scores, boxes, size, step=3), on_cpu(scores, boxes, size))


@pytest.mark.parametrize("scale", [1e-280, 1e-30, 1e30, 1e307])
def test_scores_of_any_size_give_the_bits_of_the_cpu(plain, scale):
    size = (2, 9, 11)
    boxes, scores = drawn_boxes(40, size), scale * drawn_scores(40, np.float64)
    found = run(plain, scores, boxes, size)
    np.testing.assert_array_equal(found, on_cpu(scores, boxes, size))
    np.testing.assert_allclose(found, exact(scores, boxes, size), rtol=1e-6, atol=1e-15 * scale)


def test_a_mean_of_the_largest_numbers_is_finite(plain):
    largest = np.full(3, np.finfo(np.float64).max)
    boxes = np.array([[0, 0, 0, 2, 2]] * 3)
    np.testing.assert_array_equal(run(plain, largest, boxes, (1, 2, 2)), np.full((1, 2, 2), largest[0]))
    np.testing.assert_array_equal(on_cpu(largest, boxes, (1, 2, 2)), np.full((1, 2, 2), largest[0]))


def test_many_boxes_over_one_pixel(plain):
    boxes = np.tile([[0, 3, 4, 4, 5]], (20000, 1))
    scores = drawn_scores(len(boxes), np.float64)
    found = run(plain, scores, boxes, (1, 5, 6))
    assert np.count_nonzero(found) == 1
    np.testing.assert_allclose(found[0, 3, 4], float(sum(map(Fraction, scores.tolist())) / len(boxes)), rtol=1e-12)
