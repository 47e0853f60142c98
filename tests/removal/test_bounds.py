"""No measured change exceeds its bound, over thousands of networks, inputs and operators; a wrong one is caught."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sam_toolkit.errors import ComponentError
from sam_toolkit.removal.assumptions import Assumption, Origin
from sam_toolkit.removal.bounds import Bound, chain
from sam_toolkit.removal.limits import Change, conditional_removal, fixed_removal, model_change
from sam_toolkit.removal.lipschitz import given_lipschitz, local_lipschitz, pair_lipschitz, product_lipschitz
from sam_toolkit.removal.operators import RealisedOperator, Sharper
from sam_toolkit.removal.regression import regression
from sam_toolkit.removal.summaries import summary
from sam_toolkit.removal.symmetric import Summary, presence
from sam_toolkit.removal.total_variation import Law, gaussian_law, gaussian_total_variation

SUMMARIES = [
    ("leave-one-out", {}), ("include-one", {}), ("shapley", {}), ("banzhaf", {}), ("banzhaf", {"p": 0.15}),
    ("beta-shapley", {"alpha": 4.0}), ("beta-shapley", {"alpha": 0.4, "beta": 3.0}), ("rise", {}), ("rise", {"p": 0.8}),
    ("lime", {}), ("lime", {"kernel": "euclidean", "ridge": 0.5}), ("lime", {"kernel": "uniform", "intercept": False}),
]  # fmt: skip


def orders(players, seed, count=3):
    """Return what permutation sampling realises, on all subsets."""
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.zeros(players, 2**players, dtype=torch.float64)
    for _ in range(count):
        code = 0
        for player in torch.randperm(players, generator=generator).tolist():
            matrix[player, code] -= 1 / count
            code |= 1 << player
            matrix[player, code] += 1 / count
    return RealisedOperator(presence(players), matrix)


def operators(players, seed):
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(2**players, generator=generator) + 0.01
    kernels = [regression(presence(players), weights, ridge=ridge) for ridge in (0.0, 2.0)]
    return [summary(name, players, **kwargs) for name, kwargs in SUMMARIES] + [*kernels, orders(players, seed)]


def network(features, seed):
    torch.manual_seed(seed)
    activation = [nn.ReLU, nn.Tanh, nn.SiLU, nn.GELU][seed % 4]
    layers = nn.Sequential(
        nn.Linear(features, 8), activation(), nn.Linear(8, 8), nn.LeakyReLU(0.3), nn.Linear(8, 1), nn.Sigmoid()
    ).double()
    for parameter in layers.parameters():
        parameter.data *= 3
    return layers.eval()


def play(model, x, background):
    """Return the values `[2^d]` of a row under marginal removal, or baseline removal with one row of background."""
    shown = presence(len(x))[:, None]
    with torch.no_grad():
        return model(torch.where(shown, x, background)).mean(dim=(1, 2))


@given(seed=st.integers(0, 2**31), players=st.integers(2, 6), rows=st.sampled_from([1, 7]))
@settings(max_examples=40, deadline=None)
def test_a_changed_input_keeps_all_bounds_under_fixed_removal(seed, players, rows):
    model, generator = network(players, seed), torch.Generator().manual_seed(seed)
    background = torch.randn(rows, players, dtype=torch.float64, generator=generator)
    limit, summaries, checked = product_lipschitz(model, (players,)), operators(players, seed), 0
    for scale in (1e-3, 0.3, 3.0):
        x, direction = torch.randn(2, players, dtype=torch.float64, generator=generator)
        delta = scale * direction
        before, after = play(model, x, background), play(model, x + delta, background)
        pair = pair_lipschitz(presence(players), after - before, delta.abs())
        assert pair.value <= limit.value * (1 + 1e-6)
        for lipschitz in (limit, pair):
            for operator in summaries:
                found = chain(operator, before, after, fixed_removal(lipschitz, float(delta.norm())))
                assert len(found.bounds) == len(found.beside) == 3
                assert not found.broken
                assert all(0 <= step.tightness <= 1 + 1e-9 and 0 <= step.slack <= 1 + 1e-9 for step in found.steps)
                checked += 1
    assert checked == 90


@given(seed=st.integers(0, 2**31), players=st.integers(2, 6))
@settings(max_examples=40, deadline=None)
def test_a_changed_model_keeps_all_bounds(seed, players):
    model, other = network(players, seed), network(players, seed + 4)
    generator = torch.Generator().manual_seed(seed)
    x, background = torch.randn(2, 1, players, dtype=torch.float64, generator=generator)
    before, after = play(model, x[0], background), play(other, x[0], background)
    for operator in operators(players, seed):
        # The largest difference at imputed inputs is all that this baseline asks of the distance of the models.
        limits = (model_change(1.0), model_change(float((before - after).abs().max())))
        for limit in (*limits, model_change(0.0, inside=0.0), model_change(0.0, inside=0.0, oscillation=1.0)):
            assert not chain(operator, before, after, limit).broken


@given(seed=st.integers(0, 2**31), players=st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_any_two_games_keep_all_bounds(seed, players):
    generator = torch.Generator().manual_seed(seed)
    before, after = torch.randn(2, 2**players, dtype=torch.float64, generator=generator)
    after = before + torch.sign(after) if seed % 2 else after
    for operator in operators(players, seed):
        largest = float((after - before).abs().max())
        assert not chain(operator, before, after, model_change(largest)).broken


def logistic_given(weights, x, covariance):
    """Return E[sigmoid(w . X) | X_S = x_S] of every subset, X Gaussian with mean 0, by Gauss-Hermite quadrature."""
    nodes, mass = np.polynomial.hermite_e.hermegauss(80)
    values = []
    for shown in presence(len(x)):
        inner, cross = covariance[shown][:, shown], covariance[~shown][:, shown]
        slope = cross @ torch.linalg.inv(inner) if shown.any() else cross
        mean = weights[shown] @ x[shown] + weights[~shown] @ (slope @ x[shown])
        spread = weights[~shown] @ (covariance[~shown][:, ~shown] - slope @ cross.T) @ weights[~shown]
        points = mean + spread.clamp(min=0).sqrt() * torch.from_numpy(nodes)
        values.append((torch.sigmoid(points) * torch.from_numpy(mass)).sum() / math.sqrt(2 * math.pi))
    return torch.stack(values)


@given(seed=st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_a_changed_input_keeps_all_bounds_under_conditional_removal(seed):
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(4, 4, dtype=torch.float64, generator=generator)
    covariance = root @ root.T + 0.05 * torch.eye(4)
    weights, x, delta = torch.randn(3, 4, dtype=torch.float64, generator=generator) * 2
    before, after = (logistic_given(weights, each, covariance) for each in (x, x + delta))
    lipschitz = given_lipschitz(float(weights.norm()) / 4)
    variations = gaussian_total_variation(covariance, delta)
    lengths = (presence(4).double() @ delta**2).sqrt()
    assert bool(((after - before).abs() <= lipschitz.value * lengths + variations + 1e-9).all())
    law = gaussian_law(covariance)
    assert bool(((after - before).abs() <= lipschitz.value * law.coupling * lengths + 1e-9).all())
    limit = conditional_removal(lipschitz, float(delta.norm()), law, oscillation=1.0)
    assert limit.sharper < limit.value
    for operator in operators(4, seed):
        assert not chain(operator, before, after, limit).broken


def test_local_estimates_may_be_exceeded_and_are_no_certificates():
    model = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Sigmoid()).double()
    model[0].weight.data[:] = torch.tensor([[5.0, 5.0]])
    x, delta, background = torch.full((2,), 3.0).double(), torch.full((2,), -2.9).double(), torch.zeros(1, 2).double()
    before, after = play(model, x, background), play(model, x + delta, background)
    local = local_lipschitz(model, x[None], torch.tensor([0]))
    found = chain(summary("shapley", 2), before, after, fixed_removal(local, float(delta.norm())))
    assert found.measured > found.bounds[-1].value
    assert not found.bounds[-1].certified
    assert not found.broken
    assert "estimate, no certificate" in str(found)


class Understated(Summary):
    """Leave-one-out with the row norm in the place of h."""

    @property
    def norms(self):
        norms = super().norms
        return replace(norms, bound=norms.row)


class Oversharp(Summary):
    """Leave-one-out with the sharper constants of Shapley."""

    @property
    def sharper(self):
        return Sharper(math.pi, 2.0)


@pytest.mark.parametrize(
    ("kind", "step"),
    [(Understated, "h x largest evaluated change"), (Oversharp, "sharper constant x largest evaluated change")],
)
def test_a_broken_constant_is_caught_by_random_games(kind, step):
    honest, caught = summary("leave-one-out", 8), set()
    wrong = kind(8, honest.present, honest.absent)
    for seed in range(50):
        before, after = torch.randn(2, 2**8, generator=torch.Generator().manual_seed(seed)).sign()
        assert not chain(honest, before, after).broken
        caught |= {bound.name for bound in chain(wrong, before, after).broken}
    assert step in caught


@pytest.mark.parametrize("share", [0.9, 0.5])
def test_a_lipschitz_constant_that_is_too_low_is_caught(share):
    weights = torch.tensor([3.0, -4.0], dtype=torch.float64)
    x, delta = torch.zeros(2).double(), 1e-3 * weights
    values = [presence(2).double() @ (weights * each) for each in (x, x + delta)]
    for operator in (summary("include-one", 2), orders(2, 0)):
        for lipschitz, broken in ((given_lipschitz(5.0), False), (given_lipschitz(5.0 * share), True)):
            found = chain(operator, *values, fixed_removal(lipschitz, float(delta.norm())))
            assert bool(found.broken) == broken


def test_a_linear_score_moves_each_attribution_by_its_own_part():
    weights, x = torch.tensor([1.0, -2.0, 0.5]).double(), torch.tensor([0.2, 0.4, -1.0]).double()
    delta, baseline = torch.tensor([0.3, -0.1, 0.7]).double(), torch.tensor([1.0, 0.0, -1.0]).double()
    before, after = (torch.where(presence(3), each, baseline) @ weights for each in (x, x + delta))
    for name in ("leave-one-out", "shapley", "banzhaf", "include-one"):
        found = chain(summary(name, 3), before, after)
        assert found.measured == pytest.approx(float((weights * delta).norm()))


def test_the_steps_are_ratios_of_neighbours_and_to_the_measured_change():
    before, after = torch.zeros(4), torch.tensor([0.0, 1.0, 0.0, 0.0])
    found = chain(summary("shapley", 2), before, after, fixed_removal(given_lipschitz(2.0), 3.0))
    measured = math.hypot(0.5, 0.5)
    assert found.measured == pytest.approx(measured)
    values = [measured, 2 * math.sqrt(2), 12 * math.sqrt(2)]
    assert [bound.value for bound in found.bounds] == pytest.approx(values)
    assert [step.tightness for step in found.steps] == pytest.approx([1, 0.25, 1 / 24])
    assert [step.slack for step in found.steps] == pytest.approx([1, 0.25, 1 / 6])
    assert [bound.origin for bound in found.bounds] == [Origin.OURS, Origin.PAPER, Origin.PAPER]


def test_nothing_changed_is_bounded_by_nothing():
    values = torch.rand(8)
    found = chain(summary("banzhaf", 3), values, values, conditional_removal(given_lipschitz(1.0), 0.0, Law(math.inf)))
    assert [bound.value for bound in found.bounds] == [0, 0, 0]
    assert math.isnan(found.steps[0].tightness)
    assert not found.broken


def test_a_bound_is_never_shown_without_its_assumptions():
    with pytest.raises(ComponentError, match=r"what it assumes; got .* and 0 assumptions"):
        Bound("h", 1.0, Origin.PAPER, ())
    with pytest.raises(ComponentError, match="at least 0"):
        Bound("h", math.nan, Origin.PAPER, (Assumption.SAME_MAP,))
    limits = [
        fixed_removal(given_lipschitz(1.0), 0.5), fixed_removal(given_lipschitz(1.0), 0.5, imputation=2.0),
        conditional_removal(given_lipschitz(1.0), 0.5, Law(0.1)), model_change(0.1),
        model_change(0.1, inside=0.9, oscillation=1.0),
    ]  # fmt: skip
    for limit in limits:
        found = chain(summary("rise", 3), torch.zeros(8), torch.rand(8), limit, floor=0.01)
        for bound in (*found.bounds, *found.beside):
            assert bound.assumptions
            assert all(text in str(bound) and text in str(found) for text in bound.assumptions)
        assert "noise floor 0.01" in str(found)
        assert set(limit.assumptions) <= set(found.bounds[-1].assumptions)


def test_limits_are_those_of_the_lemmas():
    two = given_lipschitz(2.0)
    assert fixed_removal(two, 3.0).value == 6
    moving = fixed_removal(two, 3.0, imputation=1.5)
    assert (moving.value, moving.change) == (9, Change.WHOLE)
    conditional = conditional_removal(two, 3.0, Law(0.25), oscillation=1.0)
    assert (conditional.value, conditional.sharper) == (3 * (2 + 2 * 0.25), 3 * (2 + 0.25))
    assert conditional_removal(two, 3.0, Law(0.0)).value == 6
    without = conditional_removal(two, 3.0, Law(math.inf, coupling=1.5))
    assert (without.value, without.sharper) == (math.inf, 9)
    inside = model_change(0.5, inside=0.75, oscillation=1.0)
    assert (inside.value, inside.sharper) == (0.5 * 0.75 + 2 * 0.25, 0.5 * 0.75 + 0.25)
    assert model_change(5.0, inside=0.1).value == 2  # more than probabilities can differ


def test_an_input_that_moves_what_stands_in_gets_no_constant_for_shown_players():
    values = torch.zeros(8), torch.rand(8)
    fixed = chain(summary("include-one", 3), *values, fixed_removal(given_lipschitz(1.0), 1.0)).beside[-1]
    moving = chain(summary("include-one", 3), *values, fixed_removal(given_lipschitz(1.0), 1.0, 1.0)).beside[-1]
    assert (fixed.value, moving.value) == (pytest.approx(1), pytest.approx(2 * math.sqrt(3)))


def test_a_value_that_moves_alone_has_an_infinite_slope():
    masks = presence(2)
    delta = torch.tensor([1.0, 0.0])
    assert pair_lipschitz(masks, torch.tensor([0.0, 0.5, 0.0, 0.25]), delta).value == 0.5
    assert pair_lipschitz(masks, torch.tensor([0.0, 0.5, 0.1, 0.25]), delta).value == math.inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: chain(summary("rise", 2), torch.zeros(2, 4), torch.zeros(2, 4)), r"values \[M\] of two games"),
        (lambda: chain(summary("rise", 2), torch.zeros(4), torch.full((4,), torch.nan)), "finite values"),
        (lambda: fixed_removal(given_lipschitz(1.0), -1.0), "distance is finite and not negative; got -1.0"),
        (lambda: model_change(0.1, inside=1.5), "inside is a share, from 0 to 1; got 1.5"),
        (lambda: conditional_removal(given_lipschitz(1.0), 1.0, Law(0.1), supremum=math.inf), "supremum is finite"),
        (lambda: Law(-0.1), "constants of a law are not negative; got -0.1"),
    ],
)
def test_what_cannot_be_is_refused_by_name(call, message):
    with pytest.raises(ComponentError, match=message):
        call()
