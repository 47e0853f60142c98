from __future__ import annotations

import pytest
import torch
from scipy.stats import spearmanr

from sam_toolkit.metrics import Spearman

SETTINGS = [Spearman.setting()]


@pytest.mark.parametrize("levels", [None, 3], ids=["distinct", "ties"])
def test_values_are_those_of_scipy(levels: int | None) -> None:
    maps = torch.randn(4, 3, 13, 17, generator=torch.Generator().manual_seed(0))
    maps = maps if levels is None else (maps * levels).round()
    pairs = torch.tensor([[0, 1], [3, 2], [1, 1], [0, 3], [0, 1]])
    metric = Spearman()
    found = metric.compare(metric.prepare(maps, SETTINGS), pairs, SETTINGS).values
    assert found.shape == (1, 5, 3)
    assert found.dtype == torch.float64
    for p, (a, b) in enumerate(pairs.tolist()):
        for n in range(3):
            expected = spearmanr(maps[a, n].flatten(), maps[b, n].flatten()).statistic
            assert found[0, p, n].item() == pytest.approx(expected, abs=1e-12)


def test_only_ranks_matter() -> None:
    a, b = torch.rand(2, 9, 9, generator=torch.Generator().manual_seed(0))
    assert Spearman()(a, b) == Spearman()(a.exp(), 5 * b - 3)
    assert Spearman()(a, -a).item() == pytest.approx(-1)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1 / 3])
def test_a_constant_map_has_no_rank_correlation(constant: float) -> None:
    maps = torch.stack([torch.full((7, 9), constant), torch.arange(63.0).reshape(7, 9)])
    matrix = Spearman().matrix(maps)
    assert matrix.isnan().tolist() == [[True, True], [True, False]]
    assert matrix[1, 1].item() == pytest.approx(1)


def test_a_negative_zero_ties_with_zero() -> None:
    a = torch.tensor([[0.0, -0.0], [1.0, 2.0]])
    assert Spearman()(a, a.abs()).item() == pytest.approx(1)
