"""The kernels of SSIM and of its gradient, against the reference in float64."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from cuda_on_cpu.harness import ORDERS, Out

from sam_toolkit.ops import reference

OUTPUTS = {5: 124, 7: 122, 11: 118}  # windows along a row of a tile, 128 for other sides
TILE_ROWS = 16
PAIRS = np.array([[0, 1], [2, 0], [1, 1], [0, 2], [0, 0]])
UNIFORM, WIDER, GAUSSIAN = [1 / 5] * 5, [1 / 7] * 7, np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2).tolist()
LONG = np.exp(-0.5 * (np.arange(-6, 7) / 2) ** 2).tolist()


class Numbers(NamedTuple):
    """What maps of a type are computed in, and how near the reference that must come."""

    value: type
    sum: type
    ratio: type
    tolerance: float


NUMBERS = {
    "halves": Numbers(np.float32, np.float32, np.float32, 2e-5),
    "singles": Numbers(np.float32, np.float64, np.float32, 1e-6),
    "doubles": Numbers(np.float64, np.float64, np.float64, 1e-12),
}


def drawn(*shape, dtype=np.float64, seed=0):
    return (np.random.default_rng(seed).random(shape) * 2 - 1).astype(dtype)


def normal(taps):
    return (np.array(taps) / np.sum(taps)).tolist()


def tiles(numbers, rows, columns, taps):
    along = 128 if numbers == "doubles" else OUTPUTS.get(taps, 128)
    return -(-rows // TILE_ROWS) * -(-columns // along)


def statistics(maps, taps, numbers, data_range, sample):
    """Return the first seven arguments of every face."""
    types = NUMBERS[numbers]
    images, count, height, width = maps.shape
    side = len(taps)
    scale = side**2 / (side**2 - 1) if sample else 1.0
    windows = (images * count, height - side + 1, width - side + 1)
    return (
        np.ascontiguousarray(maps, types.value),
        np.array([images, count, height, width, side]),
        np.array(taps, types.sum),
        np.array([1 / data_range, scale / data_range**2], types.sum),
        Out((images * count,), types.sum),
        Out(windows, types.sum),
        Out(windows, types.ratio),
    )


def grouped(pairs, most=2):
    """Return groups (first map, begin, end) and partners (second map, place)."""
    order = sorted(range(len(pairs)), key=lambda p: tuple(pairs[p]))
    groups = []
    for place, p in enumerate(order):
        if not groups or groups[-1][0] != pairs[p][0] or place - groups[-1][1] == most:
            groups.append([pairs[p][0], place, place])
        groups[-1][2] += 1
    return np.array(groups), np.array([[pairs[p][1], p] for p in order])


def compare(simulator, maps, taps, numbers, whole, **how):
    how = {"data_range": 2.0, "sample": True, "order": "ascending"} | how
    types = NUMBERS[numbers]
    rows, columns = (side - len(taps) + 1 for side in maps.shape[2:])
    groups, partners = grouped(PAIRS)
    partials = Out((len(maps), len(PAIRS), tiles(numbers, rows, columns, len(taps))), np.float64)
    shape = (len(maps), len(PAIRS), rows, columns) if whole else (len(maps), len(PAIRS))
    out = Out(shape, types.ratio)
    arguments = (groups, len(groups), partners, len(PAIRS), int(whole), partials, out)
    first = statistics(maps, taps, numbers, how["data_range"], how["sample"])
    return simulator.call("ssim", f"ssim_{numbers}", *first, *arguments, order=how["order"])[-1]


def expected(op, maps, taps, data_range=2.0, sample=True):
    return getattr(reference, op)(torch.tensor(maps).double(), torch.tensor(PAIRS), taps, data_range, sample).numpy()


def pull_back(simulator, maps, taps, numbers, gradient, order="ascending"):
    types = NUMBERS[numbers]
    parts = [
        [(p, side, pair[1 - side]) for p, pair in enumerate(PAIRS) for side in (0, 1) if pair[side] == k]
        for k in range(maps.shape[1])
    ]
    rows, columns = (side - len(taps) + 1 for side in maps.shape[2:])
    arguments = (
        np.ascontiguousarray(gradient, types.ratio),
        int(gradient.ndim == 4),
        PAIRS,
        len(PAIRS),
        np.array([part for own in parts for part in own]),
        np.cumsum([0, *map(len, parts)]),
        Out((len(maps), len(PAIRS), 4, rows, columns), types.sum),
        Out(maps.shape, types.value),
    )
    first = statistics(maps, taps, numbers, 2.0, True)
    return simulator.call("ssim", f"ssim_backward_{numbers}", *first, *arguments, order=order)[-1]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("whole", [False, True], ids=["means", "maps"])
@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("taps", [UNIFORM, [0.25, 0.5, 0.25]], ids=["unrolled", "in loops"])
def test_it_is_the_reference_on_maps_larger_than_a_tile(simulator, taps, numbers, whole, order) -> None:
    maps = drawn(1, 3, 21, 131).astype(NUMBERS[numbers].value)
    found = compare(simulator, maps, taps, numbers, whole, order=order)
    wanted = expected("ssim_map" if whole else "ssim", maps, taps)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=NUMBERS[numbers].tolerance)


@pytest.mark.parametrize("taps", [UNIFORM, WIDER, GAUSSIAN, LONG, [0.25, 0.5, 0.25]], ids=lambda taps: str(len(taps)))
@pytest.mark.parametrize("shape", [(13, 13), (17, 14), (30, 19)], ids=str)
@pytest.mark.parametrize("sample", [True, False])
def test_it_is_the_reference_for_every_window(plain, taps, shape, sample) -> None:
    maps = drawn(2, 3, *shape).astype(np.float32)
    for whole, op in ((False, "ssim"), (True, "ssim_map")):
        found = compare(plain, maps, normal(taps), "singles", whole, sample=sample)
        wanted = expected(op, maps, normal(taps), sample=sample)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


def test_a_window_wider_than_a_tile_is_summed_tile_after_tile(plain) -> None:
    maps = drawn(1, 3, 140, 150).astype(np.float32)
    taps = [1 / 137] * 137
    np.testing.assert_allclose(compare(plain, maps, taps, "singles", False), expected("ssim", maps, taps), atol=1e-6)


@pytest.mark.parametrize("numbers", ["singles", "doubles"])
@pytest.mark.parametrize(("scale", "offset"), [(1, 100), (1e6, 0), (1e6, 1e6), (1e-3, 1), (1e12, 0)])
def test_offsets_and_scales_cost_no_digits(plain, numbers, scale, offset) -> None:
    maps = (drawn(1, 3, 19, 24) * scale + offset).astype(NUMBERS[numbers].value)
    for data_range in (2.0, 2.0 * scale):
        found = compare(plain, maps, UNIFORM, numbers, False, data_range=data_range)
        wanted = expected("ssim", maps, UNIFORM, data_range)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=max(NUMBERS[numbers].tolerance, 2e-12))


@pytest.mark.parametrize("values", [(0, 0, 1), (100, 100.25, 100), (1e6, 1e6, -1)])
def test_constant_maps_are_compared_by_luminance_alone(plain, values) -> None:
    maps = np.broadcast_to(np.array(values, np.float32)[None, :, None, None], (1, 3, 12, 9))
    found = compare(plain, maps, UNIFORM, "singles", False)[0]
    a, b = np.array(values)[PAIRS].T
    np.testing.assert_allclose(found, (2 * a * b + 4e-4) / (a * a + b * b + 4e-4), rtol=0, atol=1e-6)


def test_a_map_that_is_not_finite_gives_nan_to_its_own_pairs_only(plain) -> None:
    maps = drawn(1, 3, 12, 12).astype(np.float32)
    maps[0, 1, 3, 3] = np.nan
    assert np.isnan(compare(plain, maps, UNIFORM, "singles", False)[0]).tolist() == [1 in pair for pair in PAIRS]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("whole", [False, True], ids=["means", "maps"])
@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("taps", [UNIFORM, [0.25, 0.5, 0.25]], ids=["unrolled", "in loops"])
def test_the_gradient_is_that_of_the_reference(simulator, taps, numbers, whole, order) -> None:
    maps = drawn(1, 3, 19, 131).astype(NUMBERS[numbers].value)
    size = (19 - len(taps) + 1, 131 - len(taps) + 1) if whole else ()
    gradient = drawn(1, len(PAIRS), *size, seed=1).astype(NUMBERS[numbers].ratio)
    found = pull_back(simulator, maps, taps, numbers, gradient, order)
    arguments = (torch.tensor(PAIRS), taps, 2.0, True)
    wanted = reference.ssim_backward(torch.tensor(gradient).double(), torch.tensor(maps).double(), *arguments).numpy()
    np.testing.assert_allclose(found / abs(wanted).max(), wanted / abs(wanted).max(), atol=NUMBERS[numbers].tolerance)


def test_the_gradient_of_a_map_in_no_pair_is_zero(plain) -> None:
    maps = drawn(1, 4, 9, 11).astype(np.float32)
    found = pull_back(plain, maps, UNIFORM, "singles", drawn(1, len(PAIRS), seed=1).astype(np.float32))
    assert (found[:, 3] == 0).all()
    assert (found[:, :3] != 0).any(axis=(2, 3)).all()


@pytest.mark.parametrize("whole", [False, True], ids=["means", "maps"])
def test_no_images_give_no_results(simulator, whole) -> None:
    maps = np.zeros((0, 3, 9, 11), np.float32)
    size = (5, 7) if whole else ()
    assert compare(simulator, maps, UNIFORM, "singles", whole).shape == (0, len(PAIRS), *size)
    gradient = np.zeros((0, len(PAIRS), *size), np.float32)
    assert pull_back(simulator, maps, UNIFORM, "singles", gradient).shape == maps.shape
