"""Distances of centres of mass against SciPy, and their chance level against every order of the pixels."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from scipy.ndimage import center_of_mass

from sam_toolkit import MassCentreDistance

A, B = torch.randn(2, 3, 6, 9, generator=torch.Generator().manual_seed(0))


def test_centres_are_scipys_of_absolute_values():
    scores = MassCentreDistance().scores(A, B)
    for n in range(3):
        centres = [center_of_mass(values[n].abs().double().numpy()) for values in (A, B)]
        distance = math.dist(*centres)
        assert float(scores.extras["distance"][n]) == pytest.approx(distance, abs=1e-12)
        assert float(scores.values[n]) == pytest.approx(1 - distance / math.hypot(5, 8), abs=1e-12)


def test_opposite_corners_are_a_diagonal_apart_and_equal_maps_none():
    a, b = torch.zeros(2, 4, 5)
    a[0, 0] = b[3, 4] = 2
    scores = MassCentreDistance().scores(a, b)
    assert scores.extras["distance"] == 5
    assert scores.values == 0
    assert MassCentreDistance()(B, B).tolist() == [1, 1, 1]


def test_chance_is_the_mean_square_over_every_order_of_the_second_maps_pixels():
    a, b = torch.rand(2, 2, 3, generator=torch.Generator().manual_seed(0))
    orders = torch.tensor(list(itertools.permutations(range(6))))
    shuffled = b.flatten()[orders].reshape(-1, 2, 3)
    distances = MassCentreDistance().scores(a.expand_as(shuffled), shuffled).extras["distance"]
    expected = 1 - math.sqrt(float((distances**2).mean())) / math.hypot(1, 2)
    assert float(MassCentreDistance().scores(a, b).extras["chance"]) == pytest.approx(expected, abs=1e-12)


def test_a_map_of_zeros_has_no_centre_and_a_map_of_a_pixel_has_one():
    assert MassCentreDistance()(torch.zeros(4, 4), A[0, :4, :4]).isnan()
    assert MassCentreDistance()(torch.ones(1, 1), torch.ones(1, 1)) == 1
