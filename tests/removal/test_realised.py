"""Operators of given masks: their own norms, and constants that hold for them."""

from __future__ import annotations

import math

import pytest
import torch
from climbing import climbed
from hypothesis import given, settings
from hypothesis import strategies as st

from sam_toolkit.errors import ComponentError
from sam_toolkit.removal.operators import RealisedOperator, Sharper
from sam_toolkit.removal.regression import regression
from sam_toolkit.removal.summaries import summary
from sam_toolkit.removal.symmetric import presence


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("leave-one-out", {}),
        ("include-one", {}),
        ("shapley", {}),
        ("banzhaf", {"p": 0.2}),
        ("rise", {}),
        ("lime", {}),
        ("beta-shapley", {"alpha": 4.0}),
    ],
)
@pytest.mark.parametrize("players", [1, 3, 6])
def test_a_summary_as_masks_has_the_same_norms_and_valid_constants(name, parameters, players):
    operator = summary(name, players, **parameters)
    realised = operator.realised()
    game = torch.randn(4, 2**players, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(realised.apply(game), operator.apply(game), rtol=0, atol=1e-10)
    torch.testing.assert_close(realised.pair_bound(game), operator.pair_bound(game), rtol=1e-10, atol=0)
    assert realised.sharper.input >= operator.sharper.input - 1e-10
    assert realised.sharper.model >= operator.sharper.model - 1e-10


@given(
    seed=st.integers(0, 2**32), players=st.integers(2, 8), extra=st.integers(2, 40), ridge=st.sampled_from([0.0, 1.0])
)
@settings(max_examples=100, deadline=None)
def test_realised_regressions_have_their_own_valid_norms(seed, players, extra, ridge):
    generator = torch.Generator().manual_seed(seed)
    masks = torch.rand(2 * players + extra, players, generator=generator) < 0.5
    try:
        operator = regression(masks, torch.rand(len(masks), generator=generator) + 0.1, ridge=ridge)
    except ComponentError:
        return  # too alike to tell players apart
    assert operator.sharper.model <= operator.bound_constant + 1e-10
    assert operator.sharper.model <= math.sqrt(len(masks)) * operator.spectral_norm + 1e-10
    assert climbed(operator, torch.ones(len(masks)).double(), seed) <= operator.sharper.model * (1 + 1e-10)
    delta = torch.randn(players, generator=generator).double()
    lengths = (masks.double() @ (delta / delta.norm()) ** 2).sqrt()
    assert climbed(operator, lengths, seed) <= operator.sharper.input * (1 + 1e-10)


@pytest.mark.parametrize(
    ("players", "samples", "bound", "length"), [(10, 50, 6.36, 3.15), (10, 1000, 6.32, 2.17), (20, 100, 9.01, 3.43)]
)
def test_sampled_regressions_have_the_constants_of_the_sheet(players, samples, bound, length):
    found = []
    for seed in range(20):
        masks = torch.rand(samples, players, generator=torch.Generator().manual_seed(seed)) < 0.5
        found.append(regression(masks))
    assert float(torch.tensor([each.bound_constant for each in found]).median()) == pytest.approx(bound, rel=0.02)
    scaled = torch.tensor([each.spectral_norm * math.sqrt(samples) for each in found])
    assert float(scaled.median()) == pytest.approx(length, rel=0.06)
    assert all(each.bound_constant >= 2 * math.sqrt(players) - 1e-9 for each in found)


def test_an_operator_says_what_does_not_fit():
    with pytest.raises(ComponentError, match=r"bool masks \[M, d\] and a matrix \[d, M\]"):
        RealisedOperator(presence(3), torch.zeros(8, 3))
    with pytest.raises(ComponentError, match=r"RealisedOperator\(8 masks, 3 players\) takes one value a subset"):
        summary("shapley", 3).realised().apply(torch.zeros(7))


def test_constants_of_any_operator_come_from_masks_and_matrix_alone():
    found = Sharper.of(presence(3), summary("banzhaf", 3).matrix)
    assert (found.model, found.input) == pytest.approx((2.0, math.sqrt(2)))


def test_exact_ends_need_no_more_masks_than_players_less_one():
    players = 4
    masks = torch.cat([torch.zeros(1, players), torch.eye(players)[1:], torch.ones(1, players)]).bool()
    weights = torch.tensor([0.0, 1.0, 2.0, 0.5, 0.0])
    found = regression(masks, weights, exact_ends=True).matrix
    # The conditions of Lagrange, solved whole.
    shown = masks[1:-1].double()
    system = torch.zeros(players + 1, players + 1, dtype=torch.float64)
    system[:players, :players] = shown.T @ (weights[1:-1, None] * shown)
    system[:players, players] = system[players, :players] = 1
    right = torch.zeros(players + 1, len(masks), dtype=torch.float64)
    right[:players, 1:-1] = shown.T * weights[1:-1]
    right[:players, 0] = -right[:players].sum(dim=1)
    right[players, 0], right[players, -1] = -1, 1
    torch.testing.assert_close(found, torch.linalg.solve(system, right)[:players])
