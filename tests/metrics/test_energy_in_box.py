from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sam_toolkit.metrics import EnergyInBox

BOXES = torch.tensor([[0, 2, 3, 5, 7], [1, 0, 0, 4, 4], [1, 2, 2, 6, 6]])
"""Three images: a box, two that overlap, none."""
IMAGES = torch.zeros(3, 3, 10, 12)
MAPS = torch.randn(3, 10, 12, generator=torch.Generator().manual_seed(1))


def expected(values: Tensor, boxes: list[list[int]]) -> float:
    energy = np.maximum(values.double().numpy(), 0)
    inside = sum(
        energy[y, x]
        for y in range(10)
        for x in range(12)
        if any(y0 <= y < y1 and x0 <= x < x1 for y0, x0, y1, x1 in boxes)
    )
    return float(inside / energy.sum())


def test_it_is_the_share_of_the_positive_mass_in_any_box() -> None:
    found = EnergyInBox()(MAPS, IMAGES, boxes=BOXES)
    assert found.dtype == torch.float64
    assert float(found[0]) == pytest.approx(expected(MAPS[0], BOXES[:1, 1:].tolist()))
    assert float(found[1]) == pytest.approx(expected(MAPS[1], BOXES[1:, 1:].tolist()))


def test_a_flat_map_has_the_share_of_the_area_with_an_overlap_counted_once() -> None:
    found = EnergyInBox()(torch.full((3, 10, 12), 0.25), IMAGES, boxes=BOXES)
    assert found[:2].tolist() == [pytest.approx(12 / 120), pytest.approx((16 + 16 - 4) / 120)]


def test_negative_values_count_only_without_their_sign() -> None:
    without = EnergyInBox(sign="absolute")(-MAPS, IMAGES, boxes=BOXES)
    assert torch.equal(without[:2], EnergyInBox()(MAPS.abs(), IMAGES, boxes=BOXES)[:2])


def test_a_map_without_positive_values_points_nowhere() -> None:
    assert EnergyInBox()(-MAPS.abs(), IMAGES, boxes=BOXES)[:2].tolist() == [0, 0]


def test_images_without_boxes_have_no_score() -> None:
    assert EnergyInBox()(MAPS, IMAGES, boxes=BOXES).isnan().tolist() == [False, False, True]
    assert EnergyInBox()(MAPS, IMAGES).isnan().all()
