"""Tests of the tests: which build of the simulator notices which mistake in a kernel, and that none cries wolf."""

from __future__ import annotations

import re

import numpy as np
import pytest
from cuda_on_cpu.harness import BUILDS, ORDERS, KernelError, Out
from scipy.ndimage import uniform_filter

SHAPES = ((8, 64), (6, 33), (21, 37))
RACE = "ThreadSanitizer: data race"
RESULT = "another result"
BOUNDS = "argument 6 was written outside of its bounds"
LANES = "waits for thread"

# What is noticed first of a mistake in any order of threads. Each is at the index that the kernels know it by.
CAUGHT = {
    "none": {"plain": "", "address": "", "thread": ""},
    "no barrier after load": {"plain": RESULT, "address": RESULT, "thread": RACE},
    "no barrier after rows": {"plain": RESULT, "address": RESULT, "thread": RACE},
    "no barrier before sum": {"plain": RESULT, "address": RESULT, "thread": RACE},
    "past a row": {"plain": RESULT, "address": "index 36 out of bounds for type 'float [36]'", "thread": RESULT},
    "past an array": {"plain": RESULT, "address": "index 8 out of bounds for type 'float [8][32]'", "thread": RESULT},
    "past a tensor": {"plain": RESULT, "address": "heap-buffer-overflow", "thread": RESULT},
    "wrong border": {"plain": RESULT, "address": RESULT, "thread": RESULT},
    "shuffle by some": {"plain": LANES, "address": LANES, "thread": LANES},
    "return before barrier": {"plain": LANES, "address": LANES, "thread": LANES},
    "not clipped": {"plain": BOUNDS, "address": "heap-buffer-overflow", "thread": RACE},
    "no atomic": {"plain": "", "address": "", "thread": RACE},
}
BUGS = list(CAUGHT)


def smooth(simulator, bug, order):
    """Smooth images of several shapes; returns whether they are as scipy has them."""
    for height, width in SHAPES:
        image = np.random.default_rng(0).random((height, width), np.float32)
        grid = (-(-height // 4), -(-width // 32))
        outputs = Out((height, width)), Out(grid)
        got, sums = simulator.call("teaching", "smooth", image, height, width, bug, *outputs, order=order)
        mean = uniform_filter(image, 5, mode="mirror")
        padded = np.pad(mean, ((0, grid[0] * 4 - height), (0, grid[1] * 32 - width)))
        expected = padded.reshape(grid[0], 4, grid[1], 32).sum(axis=(1, 3))
        if not (np.allclose(got, mean, atol=1e-6) and np.allclose(sums, expected, rtol=1e-5)):
            return False
    return True


def fill(simulator, bug, order):
    """Fill squares that reach over every border."""
    corners = np.array([[-2, 3], [4, 10], [3, -1], [7, 0]], np.int32)
    expected = np.zeros((9, 12), np.float32)
    for y, x in corners:
        expected[max(y, 0) : y + 4, max(x, 0) : x + 4] = 1
    arguments = (corners, 4, 4, 9, 12, bug, Out((9, 12), fill=0))
    (got,) = simulator.call("teaching", "fill", *arguments, order=order)
    return np.array_equal(got, expected)


def scatter(simulator, bug, order):
    """Add to totals from several blocks."""
    targets = (np.arange(200) ** 2 % 7).astype(np.int32)
    values = np.arange(200, dtype=np.float32)
    (got,) = simulator.call("teaching", "scatter", targets, values, 200, bug, Out((7,), fill=0), order=order)
    return np.array_equal(got, np.bincount(targets, values, 7))


def symptom(simulator, bug):
    """Return the first thing that is noticed of a bug, or an empty text."""
    for order in ORDERS:
        try:
            right = all(kernel(simulator, bug, order) for kernel in (smooth, fill, scatter))
        except KernelError as error:
            return str(error)
        if not right:
            return RESULT
    return ""


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_is_noticed_by_what_the_table_says(simulators, build, bug):
    expected = CAUGHT[bug][build]
    found = symptom(simulators(build), BUGS.index(bug))
    assert expected in found
    assert bool(expected) == bool(found)
    if expected not in ("", RESULT, BOUNDS):
        assert re.search(r"teaching_kernels.cu:\d+", found)
