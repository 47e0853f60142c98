"""The chance level of smoothed rank correlations: shuffled maps, and values known for noise."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sam_toolkit import Kendall, LensKendall, LensSpearman, Spearman

# Unrelated maps of uniform noise with zeros outside: side, w, Spearman, Kendall.
NOISE = [(28, 1, 0.24, 0.16), (28, 2, 0.51, 0.35), (28, 3, 0.70, 0.52), (32, 1, 0.22, 0.15), (32, 2, 0.47, 0.32),
         (32, 3, 0.65, 0.47), (128, 1, 0.06, 0.04), (128, 2, 0.14, 0.10), (128, 3, 0.22, 0.15)]  # fmt: skip


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("side", "w", "rho", "tau"), NOISE)
def test_noise_has_its_known_level(side, w, rho, tau):
    a, b = noise(2, side, side)
    assert float(LensSpearman(w=w).scores(a, b).extras["chance"]) == pytest.approx(rho, abs=0.02)
    assert float(LensKendall(w=w).scores(a, b).extras["chance"]) == pytest.approx(tau, abs=0.02)


@pytest.mark.parametrize("padding", ["zero", "valid", "symmetric"])
@pytest.mark.parametrize("w", [1, 3])
@pytest.mark.parametrize(("power", "tolerance"), [(1, 0.03), (2, 0.05), (8, 0.09)])
def test_it_is_near_what_shuffled_maps_score(power, tolerance, w, padding):
    """Sums over windows are taken for normal; the heavier the tails, the less they are."""
    a, b = noise(2, 20, 26) ** power
    orders = torch.stack([torch.randperm(520, generator=torch.Generator().manual_seed(n)) for n in range(2 * 150)])
    shuffled = torch.cat([a.flatten()[orders[:150]], b.flatten()[orders[150:]]]).reshape(2, 150, 20, 26)
    for kind in (LensSpearman, LensKendall):
        metric = kind(w=w, padding=padding)
        level = float(metric.scores(a, b).extras["chance"])
        assert float(metric(*shuffled).mean()) == pytest.approx(level, abs=tolerance)
        assert (level > 0.01) == (padding == "zero")


def test_it_is_0_without_windows_and_for_values_around_0():
    a, b = noise(2, 20, 26)
    for metric in (LensSpearman(w=0), LensKendall(w=0), Spearman(), Kendall()):
        scores = metric.scores(a, b)
        assert scores.extras["chance"] == 0
        assert scores.extras["corrected"] == scores.values
    centred = LensSpearman(w=2).scores(a - a.mean(), b)
    assert abs(float(centred.extras["chance"])) < 1e-6


@pytest.mark.parametrize("w", [10, 30])
def test_large_windows_take_many_kinds_together(w):
    a, b = noise(2, 40, 90, 80)
    scores = LensSpearman(w=w).scores(a, b)
    assert float(scores.extras["chance"].mean()) == pytest.approx(float(scores.values.mean()), abs=0.05)
    assert float(scores.extras["chance"].mean()) > 0.5
