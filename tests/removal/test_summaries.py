"""Summary operators against definitions, printed matrices and identities between them."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam_toolkit.errors import ComponentError
from sam_toolkit.removal.regression import kernel_weights, regression
from sam_toolkit.removal.summaries import summary
from sam_toolkit.removal.symmetric import presence

ALL = [
    ("leave-one-out", {}), ("include-one", {}), ("shapley", {}), ("banzhaf", {}), ("banzhaf", {"p": 0.2}),
    ("beta-shapley", {"alpha": 4.0, "beta": 1.0}), ("rise", {}), ("rise", {"p": 0.7}), ("lime", {}),
    ("lime", {"kernel": "euclidean"}), ("lime", {"kernel": "uniform", "ridge": 1.0}), ("lime", {"intercept": False}),
]  # fmt: skip


def values(players, *shape, seed=0):
    return torch.randn(*shape, 2**players, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_two_players_have_the_printed_matrices():
    half = 0.5
    expected = {
        "leave-one-out": [[0, 0, -1, 1], [0, -1, 0, 1]],
        "shapley": [[-half, half, -half, half], [-half, -half, half, half]],
        "banzhaf": [[-half, half, -half, half], [-half, -half, half, half]],
        "rise": [[0, half, 0, half], [0, 0, half, half]],
    }
    for name, matrix in expected.items():
        torch.testing.assert_close(summary(name, players=2).matrix, torch.tensor(matrix, dtype=torch.float64))


def test_three_players_have_the_printed_shapley_row():
    row = torch.tensor([-1 / 3, 1 / 3, -1 / 6, 1 / 6, -1 / 6, 1 / 6, -1 / 3, 1 / 3], dtype=torch.float64)
    torch.testing.assert_close(summary("shapley", 3).matrix[0], row)


@pytest.mark.parametrize("players", [1, 2, 5])
def test_shapley_is_the_mean_contribution_over_all_orders(players):
    game = values(players)
    total = torch.zeros(players, dtype=torch.float64)
    for order in itertools.permutations(range(players)):
        code = 0
        for player in order:
            total[player] += game[code | 1 << player] - game[code]
            code |= 1 << player
    torch.testing.assert_close(summary("shapley", players).apply(game), total / math.factorial(players))


def test_rise_is_the_mean_where_a_player_is_shown_each_with_its_probability():
    shown = presence(5)
    for p in (0.5, 0.8):
        law = torch.where(shown, p, 1 - p).double().prod(dim=1)
        expected = torch.stack([(law * values(5))[row].sum() / law[row].sum() for row in shown.T])
        torch.testing.assert_close(summary("rise", 5, p=p).apply(values(5)), expected)


@pytest.mark.parametrize(("name", "parameters"), ALL)
@pytest.mark.parametrize("players", [1, 2, 4, 7])
def test_applying_is_multiplying_by_the_matrix(name, parameters, players):
    operator = summary(name, players, **parameters)
    game = values(players, 3, 2)
    torch.testing.assert_close(operator.apply(game), game @ operator.matrix.T, rtol=0, atol=1e-10)
    expected = (game.abs() @ operator.matrix.abs().T).norm(dim=-1)
    torch.testing.assert_close(operator.pair_bound(game), expected, rtol=1e-10, atol=0)


def test_applying_sixteen_players_needs_no_matrix():
    operator = summary("shapley", 16)
    worth = torch.arange(1, 17, dtype=torch.float64)
    torch.testing.assert_close(operator.apply(presence(16).double() @ worth), worth, rtol=0, atol=1e-10)
    assert "matrix" not in vars(operator)


@pytest.mark.parametrize("players", range(2, 9))
def test_rise_is_half_of_banzhaf_and_the_mean(players):
    game = values(players)
    expected = summary("banzhaf", players).apply(game) / 2 + game.mean()
    torch.testing.assert_close(summary("rise", players).apply(game), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("players", range(2, 10))
def test_lime_with_the_euclidean_kernel_is_a_weighted_banzhaf_value(players):
    width = 0.75 * players**0.5
    p = 1 / (1 + math.exp(-1 / (2 * width**2)))
    assert {3: "0.5735", 6: "0.5370", 9: "0.5247"}.get(players, f"{p:.4f}") == f"{p:.4f}"
    banzhaf = summary("banzhaf", players, p=p)
    lime = summary("lime", players, kernel="euclidean")
    torch.testing.assert_close(lime.matrix, banzhaf.matrix, rtol=0, atol=1e-10)
    total = float(kernel_weights("euclidean", players)[presence(players).sum(dim=1)].sum())
    ridged = summary("lime", players, kernel="euclidean", ridge=2.0)
    shrunk = p * (1 - p) / (p * (1 - p) + 2.0 / total)
    torch.testing.assert_close(ridged.matrix, shrunk * banzhaf.matrix, rtol=0, atol=1e-10)


@pytest.mark.parametrize("players", range(1, 9))
def test_lime_with_equal_weights_is_the_banzhaf_value(players):
    found = summary("lime", players, kernel="uniform").matrix
    torch.testing.assert_close(found, summary("banzhaf", players).matrix, rtol=0, atol=1e-10)


@pytest.mark.parametrize("players", range(2, 9))
def test_the_shapley_kernel_between_exact_ends_gives_the_shapley_value(players):
    masks = presence(players)
    sizes = masks.sum(dim=1)
    inner = (sizes > 0) & (sizes < players)
    counts = torch.tensor([math.comb(players, int(size)) for size in sizes])
    weights = torch.where(inner, (players - 1) / (counts * sizes * (players - sizes)).clamp(min=1).double(), 0.0)
    found = regression(masks, weights, exact_ends=True).matrix
    torch.testing.assert_close(found, summary("shapley", players).matrix, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kernel", ["cosine", "euclidean", "uniform", lambda share: 0.1 + share * (1 - share)])
@pytest.mark.parametrize("players", [1, 2, 3, 6, 8])
@pytest.mark.parametrize(("ridge", "intercept"), [(0.0, True), (0.0, False), (1.0, True), (0.3, False)])
def test_lime_in_closed_form_is_the_solution_of_the_normal_equations(kernel, players, ridge, intercept):
    masks = presence(players).double()
    weights = kernel_weights(kernel, players)[presence(players).sum(dim=1)]
    design = torch.cat([torch.ones(len(masks), 1).double(), masks], dim=1)
    penalty = torch.full((players + 1,), ridge, dtype=torch.float64)
    penalty[0] = 0
    if not intercept:
        design, penalty = masks, penalty[1:]
    expected = torch.linalg.solve(design.T @ (weights[:, None] * design) + penalty.diag(), design.T * weights)
    operator = summary("lime", players, kernel=kernel, ridge=ridge, intercept=intercept)
    torch.testing.assert_close(operator.matrix, expected[-players:], rtol=0, atol=1e-10)
    general = summary("lime", players, kernel=weights, ridge=ridge, intercept=intercept) if players > 1 else operator
    torch.testing.assert_close(general.matrix, expected[-players:], rtol=0, atol=1e-10)


@pytest.mark.parametrize("players", [1, 2, 5, 10])
def test_shapley_values_add_up_to_what_all_players_make(players):
    game = values(players)
    total = summary("shapley", players).apply(game).sum()
    torch.testing.assert_close(total, game[-1] - game[0], rtol=0, atol=1e-10)
    assert summary("shapley", players).efficient
    assert not summary("rise", players).efficient
    assert summary("banzhaf", players).efficient == (players <= 2)


def test_bounded_summaries_say_so():
    bounded = [("leave-one-out", {}), ("include-one", {}), ("shapley", {}), ("banzhaf", {"p": 0.2})]
    bounded += [("beta-shapley", {"alpha": 2.0, "beta": 3.0}), ("lime", {"kernel": "euclidean"})]
    assert all(summary(name, 6, **parameters).bounded for name, parameters in bounded)
    unbounded = [("rise", {}), ("lime", {"kernel": "cosine"}), ("lime", {"kernel": "uniform", "ridge": 1.0})]
    assert not any(summary(name, 6, **parameters).bounded for name, parameters in unbounded)


def test_beta_shapley_of_one_and_one_is_shapley_and_else_a_mean_of_banzhaf_values():
    torch.testing.assert_close(summary("beta-shapley", 7).matrix, summary("shapley", 7).matrix)
    nodes = torch.linspace(0, 1, 4001, dtype=torch.float64)
    middle = (nodes[1:] + nodes[:-1]) / 2
    density = torch.distributions.Beta(torch.tensor(1.0).double(), torch.tensor(4.0).double()).log_prob(middle).exp()
    mixed = sum(
        float(weight) * summary("banzhaf", 4, p=float(p)).matrix / len(middle)
        for p, weight in zip(middle, density, strict=True)
    )
    torch.testing.assert_close(summary("beta-shapley", 4, alpha=4, beta=1).matrix, mixed, rtol=0, atol=1e-5)


@given(players=st.integers(2, 7), seed=st.integers(0, 2**32), pick=st.integers(0, len(ALL) - 1))
@settings(max_examples=60, deadline=None)
def test_players_that_change_places_change_attributions(players, seed, pick):
    name, parameters = ALL[pick]
    operator = summary(name, players, **parameters)
    order = torch.randperm(players, generator=torch.Generator().manual_seed(seed))
    game = values(players, seed=seed)
    moved = (presence(players)[:, order].long() << torch.arange(players)).sum(dim=1)
    relabelled = torch.empty_like(game)
    relabelled[moved] = game
    torch.testing.assert_close(operator.apply(relabelled), operator.apply(game)[order], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: summary("shaply", 3), "Did you mean 'shapley'"),
        (lambda: summary("banzhaf", 3, q=0.1), "has no parameter 'q'"),
        (lambda: summary("banzhaf", 3, p=1.0), "p lies between 0 and 1, both excluded; got 1.0"),
        (lambda: summary("beta-shapley", 3, alpha=0.0), "alpha is positive; got 0.0"),
        (lambda: summary("shapley", 0), "1 to 1000 players; got 0"),
        (lambda: summary("shapley", 20).matrix, "at most 16 players"),
        (lambda: summary("shapley", 3).apply(torch.zeros(4, 7)), r"\[..., 8\]; got \[4, 7\]"),
        (lambda: summary("lime", 3, kernel="cubic"), "kernel is one of cosine"),
        (lambda: summary("lime", 3, kernel=torch.tensor([1.0, 0, 0, 1])), "too few subsets to tell 3 players apart"),
        (lambda: summary("lime", 3, kernel=torch.tensor([1.0, -1, 0, 1])), "not negative"),
        (lambda: summary("lime", 3, ridge=-1.0), "ridge is not negative"),
        (lambda: regression(presence(3)[:3]), "do not tell 3 players apart"),
        (lambda: regression(presence(3)[1:], exact_ends=True), "first mask is empty"),
    ],
)
def test_what_cannot_be_is_refused_by_name(call, message):
    with pytest.raises(ComponentError, match=message):
        call()
