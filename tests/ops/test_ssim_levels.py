"""The instruction sets that SSIM is compiled for agree, and sizes around their vectors lose no window."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sam_toolkit import ops
from sam_toolkit.ops import reference, similarity

LEVELS = ("avx512", "avx2", "plain")
WINDOWS: list[dict[str, Any]] = [
    *({"window": side} for side in (3, 5, 7, 9, 11, 15, 31)),
    {"gaussian": True},
    {"gaussian": 3.0},
]
TOLERANCE = {torch.float32: 5e-7, torch.float64: 1e-12}


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest, compiled: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test once on each instruction set that this processor has."""
    monkeypatch.setenv("SAM_TOOLKIT_CPU", request.param)
    try:
        ops.ssim(torch.zeros(1, 5, 5), torch.tensor([[0, 0]]))
    except RuntimeError as error:
        pytest.skip(str(error))
    name: str = request.param
    return name


def drawn(count: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(width)
    return torch.rand(count, height, width, generator=generator, dtype=torch.float64) * 2 - 1


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_each_is_the_reference(level: str, window: dict[str, Any], dtype: torch.dtype) -> None:
    pairs, taps = torch.combinations(torch.arange(4)), similarity._taps("ssim", *_sides(window))
    for height, width in ((len(taps), len(taps)), (len(taps) + 17, 70), (40, len(taps) + 5)):
        maps = drawn(4, height, width).to(dtype)
        expected = reference.ssim(maps[None].double(), pairs, taps, 2.0, True)[0]
        found = ops.ssim(maps, pairs, **window).double()
        torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE[dtype])


def _sides(window: dict[str, Any]) -> tuple[int | None, bool | float]:
    return window.get("window"), window.get("gaussian", False)


def test_every_width_around_a_vector_counts_each_window_once(level: str) -> None:
    for width in (*range(5, 42), 511, 513, 516, 517, 530):
        maps = drawn(2, 7, width)
        expected = reference.ssim(maps[None], torch.tensor([[0, 1]]), [0.2] * 5, 2.0, True)[0]
        torch.testing.assert_close(ops.ssim(maps, torch.tensor([[0, 1]])), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("size", [1e9, 1e12, 1e-12])
def test_values_far_from_the_data_range_neither_overflow_nor_vanish(level: str, size: float) -> None:
    maps = (drawn(3, 20, 33) * size).float()
    for data_range in (2.0, 2 * size):
        expected = reference.ssim(maps[None].double(), torch.tensor([[0, 1], [2, 2]]), [0.2] * 5, data_range, True)[0]
        found = ops.ssim(maps, torch.tensor([[0, 1], [2, 2]]), data_range=data_range).double()
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_more_pairs_than_a_tile_land_in_their_places(level: str) -> None:
    maps, pairs = drawn(21, 12, 14), torch.randint(0, 21, (700, 2), generator=torch.Generator().manual_seed(0))
    expected = reference.ssim(maps[None], pairs, [0.2] * 5, 2.0, True)[0]
    torch.testing.assert_close(ops.ssim(maps, pairs), expected, rtol=0, atol=1e-12)


def test_what_is_not_finite_stays_in_its_pairs_and_windows(level: str) -> None:
    maps, pairs = drawn(3, 24, 560), torch.tensor([[0, 1], [0, 2], [1, 2]])
    maps[1, 20, 500] = torch.nan
    expected = reference.ssim_map(maps[None], pairs, [0.2] * 5, 2.0, True)[0]
    found = ops.ssim_map(maps, pairs)
    torch.testing.assert_close(found[1], expected[1], rtol=0, atol=1e-12)
    assert ops.ssim(maps, pairs).isnan().tolist() == [True, False, True]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_it_is_so_for_any_shape_window_and_pairs(compiled: None, data: st.DataObject) -> None:
    window = data.draw(st.sampled_from([*WINDOWS, {"window": 9, "gaussian": 1.0}]))
    taps = similarity._taps("ssim", *_sides(window))
    dtype = data.draw(st.sampled_from(list(TOLERANCE)))
    height, width = (data.draw(st.integers(len(taps), len(taps) + extra)) for extra in (40, 90))
    images, count, pairs = (data.draw(st.integers(low, high)) for low, high in ((0, 3), (1, 12), (0, 40)))
    chosen = torch.tensor(data.draw(st.lists(st.integers(0, count - 1), min_size=2 * pairs, max_size=2 * pairs)))
    chosen, sample = chosen.long().reshape(-1, 2), data.draw(st.booleans())
    maps = drawn(images * count, height, width).reshape(images, count, height, width).to(dtype)
    for op in ("ssim", "ssim_map"):
        found = getattr(ops, op)(maps, chosen, **window, sample_covariance=sample)
        expected = getattr(reference, op)(maps.double(), chosen, taps, 2.0, sample)
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=TOLERANCE[dtype] * (2 if op[4:] else 1))


def test_an_unknown_instruction_set_is_an_error(compiled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAM_TOOLKIT_CPU", "sse9")
    with pytest.raises(RuntimeError, match=r"SAM_TOOLKIT_CPU must be avx512, avx2 or plain.*got 'sse9'"):
        ops.ssim(torch.zeros(1, 5, 5), torch.tensor([[0, 0]]))
