"""Pair metrics by hand: a list gives several values to a field, and scores come with their extras."""

from __future__ import annotations

import pytest
import torch

from sam_toolkit import SSIM, PairMetric, PairScores, Params, Spearman, field
from sam_toolkit.errors import ComponentError

A, B = torch.rand(2, 3, 9, 11, generator=torch.Generator().manual_seed(0))


class ScaledParams(Params):
    """Two numbers, and a list that is one value."""

    factor: int = field(1, ge=1, help="what differences are divided by")
    power: int = field(1, ge=1, help="what they are raised to")
    rows: tuple[int, ...] = field((0,), help="rows that are compared")
    half: bool = field(False, help="whether there is a half")


class Scaled(PairMetric[ScaledParams]):
    """Computes groups of factors together, and says what it saw."""

    name = "scaled"
    groups: list[int] = []  # noqa: RUF012 - what the test looks at

    def shares(self, params: ScaledParams) -> frozenset[str]:
        return frozenset({"factor"})

    def compare(self, prepared, pairs, settings):
        Scaled.groups.append(len(settings))
        rows = prepared[:, :, list(settings[0].rows)]
        difference = (rows[pairs[:, 0]] - rows[pairs[:, 1]]).abs().mean(dim=(-2, -1)).double()
        values = torch.stack([1 - difference**setting.power / setting.factor for setting in settings])
        return PairScores(values, {"half": values / 2} if settings[0].half else {})


def test_lists_give_a_value_for_every_combination_in_their_order():
    found = Scaled(power=[1, 3], factor=[2, 5, 7])(A, B)
    assert found.shape == (2, 3, 3)
    for i, power in enumerate([1, 3]):
        for j, factor in enumerate([2, 5, 7]):
            assert torch.equal(found[i, j], Scaled(power=power, factor=factor)(A, B))


def test_settings_that_share_are_computed_together_and_repeats_once():
    Scaled.groups.clear()
    Scaled(power=[1, 3], factor=[2, 5, 2])(A, B)
    assert Scaled.groups == [2, 2]


def test_a_list_that_a_field_takes_is_one_value():
    assert Scaled(rows=[1, 2])(A, B).shape == (3,)
    both = Scaled(rows=[1, 2], factor=[1, 2])
    assert both.grid.shape == (2,)
    assert both.params.rows == (1, 2)


def test_single_maps_and_matrices_have_the_lists_in_front():
    window = SSIM(window=[3, 5])
    assert torch.equal(window(A[0], B[0]), window(A, B)[:, 0])
    assert torch.equal(window.matrix(A)[1], SSIM(window=5).matrix(A))
    assert SSIM(window=5).matrix(A).shape == (3, 3)


def test_scores_have_extras_in_the_shape_of_the_values():
    scores = Scaled(factor=[2, 5], half=True).scores(A, B)
    assert torch.equal(scores.extras["half"], scores.values / 2)
    mixed = Scaled(half=[False, True]).scores(A[0], B[0])
    assert mixed.extras["half"].isnan().tolist() == [True, False]


def test_a_value_that_breaks_a_rule_is_named():
    with pytest.raises(ComponentError, match=r"Scaled: factor: .* greater than or equal to 1; got 0"):
        Scaled(factor=[1, 0])
    with pytest.raises(ComponentError, match=r"no hyperparameter 'factors'.*factor"):
        Scaled(factors=[1, 2])
    with pytest.raises(ComponentError, match=r"Spearman compares maps \[H, W\] or \[N, H, W\] of one shape"):
        Spearman()(A, B[0])
