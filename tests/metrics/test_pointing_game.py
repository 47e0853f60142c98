from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from sam_toolkit.metrics import PointingGame
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch

BOXES = torch.tensor([[0, 2, 3, 5, 7], [1, 0, 0, 2, 2], [1, 8, 8, 10, 10]])
"""Two images with boxes, one without."""


def _score(maps: Tensor, *tolerances: float, boxes: Tensor | None = BOXES) -> Tensor:
    batch = replace(Batch.of(torch.rand(3, 3, 10, 12), 0), boxes=boxes)
    settings = [PointingGame.setting(tolerance=tolerance) for tolerance in tolerances]
    return PointingGame().score(Model(nn.Identity()), batch, maps, settings, Rng())


def _peak(y: int, x: int) -> Tensor:
    maps = torch.zeros(3, 10, 12)
    maps[:, y, x] = 1
    return maps


@pytest.mark.parametrize(
    ("y", "x", "expected"),
    [
        (2, 3, [1, 0]),
        (4, 6, [1, 0]),
        (5, 6, [0, 0]),
        (4, 7, [0, 0]),
        (1, 1, [0, 1]),
        (9, 9, [0, 1]),
        (8, 7, [0, 0]),
    ],
)
def test_a_hit_is_a_maximum_in_any_box_with_exclusive_ends(y: int, x: int, expected: list[int]) -> None:
    found = _score(_peak(y, x)[None], 0)
    assert found.shape == (1, 1, 3)
    assert found.dtype == torch.float64
    assert found[0, 0, :2].tolist() == expected
    assert bool(found[0, 0, 2].isnan())


def test_tolerance_is_a_distance_from_the_box() -> None:
    found = _score(_peak(6, 8)[None], 0, 2, 2.8, 2.9)
    assert found[:, 0, 0].tolist() == [0, 0, 0, 1]
    assert PointingGame().shares(PointingGame.setting()) == {"tolerance"}


def test_ties_count_by_the_fraction_that_hits() -> None:
    maps = torch.stack([torch.zeros(3, 10, 12), _peak(3, 3) + _peak(9, 9)])
    found = _score(maps, 0)
    assert found[0, :, 0].tolist() == [pytest.approx(12 / 120), 0.5]
    assert found[0, :, 1].tolist() == [pytest.approx(8 / 120), 0.5]


def test_images_without_boxes_have_no_score() -> None:
    assert bool(_score(_peak(0, 0)[None], 0, boxes=None).isnan().all())
    assert PointingGame.needs_boxes


def test_no_network_row_is_needed() -> None:
    assert PointingGame().rows([PointingGame.setting()], 5, (3, 10, 12)) == 0


def test_the_largest_value_may_be_sought_without_its_sign() -> None:
    maps = torch.zeros(3, 10, 12)
    maps[:, 3, 4], maps[:, 9, 9] = -2, 1
    found = [PointingGame(sign=sign)(maps, torch.rand(3, 3, 10, 12), boxes=BOXES) for sign in ("signed", "absolute")]
    assert [one[:2].tolist() for one in found] == [[0, 1], [1, 0]]
