"""Total variation of Gaussian conditionals against integrals, the pseudo-inverse form and the sheet's constants."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from sam_toolkit.errors import ComponentError
from sam_toolkit.removal.symmetric import presence
from sam_toolkit.removal.total_variation import gaussian_law, gaussian_total_variation, gaussian_variation


def correlated(rho, players=4):
    covariance = torch.eye(players, dtype=torch.float64)
    covariance[0, 1] = covariance[1, 0] = rho
    return covariance


def random_covariance(players, seed):
    root = torch.randn(players, players, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return root @ root.T + 0.3 * torch.eye(players)


@pytest.mark.parametrize(("rho", "rounded"), [(0.0, 0.0), (0.25, 0.1030), (0.5, 0.2303), (0.75, 0.4524)])
def test_two_correlated_players_have_the_constant_of_the_sheet(rho, rounded):
    found = gaussian_variation(correlated(rho))
    assert found == pytest.approx(rho / math.sqrt(2 * math.pi * (1 - rho**2)), abs=1e-12)
    assert found == pytest.approx(rounded, abs=6e-5)
    assert found <= rho / (2 * math.sqrt(1 - rho**2)) + 1e-12  # Pinsker's


def test_a_player_that_follows_from_another_has_no_constant():
    assert gaussian_variation(correlated(1.0)) == math.inf
    with pytest.raises(ComponentError, match="singular"):
        gaussian_total_variation(correlated(1.0), torch.ones(4))


def test_what_is_no_covariance_is_refused():
    for covariance in (torch.ones(2, 3), torch.tensor([[1.0, 0.5], [0.2, 1.0]])):
        with pytest.raises(ComponentError, match="symmetric matrix"):
            gaussian_variation(covariance)
    with pytest.raises(ComponentError, match="variance 0"):
        gaussian_variation(torch.diag(torch.tensor([1.0, 0.0])))


@pytest.mark.parametrize("shift", [0.1, 1.0, 4.0])
def test_total_variation_is_the_integral_of_the_densities(shift):
    covariance = torch.tensor([[2.0, 0.9], [0.9, 1.5]]).double()
    found = gaussian_total_variation(covariance, torch.tensor([shift, 0.0]))
    slope, spread = 0.9 / 2, math.sqrt(1.5 - 0.9**2 / 2)
    one, other = stats.norm(0, spread), stats.norm(slope * shift, spread)
    expected = integrate.quad(lambda y: abs(one.pdf(y) - other.pdf(y)) / 2, -15, 15, limit=400)[0]
    assert float(found[1]) == pytest.approx(expected, abs=1e-7)
    assert found[[0, 2, 3]].abs().max() < 1e-12  # no change shown, or nobody left to draw


@pytest.mark.parametrize("seed", range(5))
def test_the_constant_is_the_largest_of_the_conditional_laws(seed):
    covariance = random_covariance(4, seed)
    largest = 0.0
    for shown in presence(4)[1:-1]:
        inner = covariance[shown][:, shown]
        slope = covariance[~shown][:, shown] @ torch.linalg.inv(inner)
        left = covariance[~shown][:, ~shown] - slope @ covariance[shown][:, ~shown]
        whitened = torch.linalg.solve(torch.linalg.cholesky(left), slope)
        largest = max(largest, float(torch.linalg.svdvals(whitened)[0]))
    assert gaussian_variation(covariance) == pytest.approx(largest / math.sqrt(2 * math.pi), rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_constant_bounds_the_total_variation_and_is_tight_for_small_changes(seed):
    covariance, rng = random_covariance(5, seed), np.random.default_rng(seed)
    constant, steepest = gaussian_variation(covariance), 0.0
    for scale in (1e-3, 0.3, 3.0):
        for _ in range(30):
            delta = torch.from_numpy(rng.normal(size=5)) * scale
            lengths = (presence(5).double() @ delta**2).sqrt()
            slopes = gaussian_total_variation(covariance, delta)[1:] / lengths[1:]
            assert float(slopes.max()) <= constant * (1 + 1e-9)
            steepest = max(steepest, float(slopes.max()))
    assert steepest > constant / 3


@pytest.mark.parametrize("rho", [0.0, 0.5, -0.8, 1.0])
def test_shifted_draws_couple_two_correlated_players(rho):
    law = gaussian_law(correlated(rho))
    assert law.coupling == pytest.approx(math.hypot(1, rho), rel=1e-9)
    assert law.variation == gaussian_variation(correlated(rho))


@pytest.mark.parametrize("seed", range(3))
def test_the_coupling_is_the_largest_stretch_of_the_imputed_input(seed):
    covariance, largest = random_covariance(4, seed), 0.0
    for shown in presence(4)[1:]:
        imputed = covariance[:, shown] @ torch.linalg.inv(covariance[shown][:, shown])
        largest = max(largest, float(torch.linalg.svdvals(imputed)[0]))
    assert gaussian_law(covariance).coupling == pytest.approx(largest, rel=1e-9)
