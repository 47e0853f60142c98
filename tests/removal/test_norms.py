"""Norms in closed form against explicit matrices and the tables of the sheet, and the constants below h."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from climbing import climbed
from hypothesis import given, settings
from hypothesis import strategies as st

from sam_toolkit.removal.operators import Norms, RealisedOperator
from sam_toolkit.removal.regression import regression
from sam_toolkit.removal.summaries import summary
from sam_toolkit.removal.symmetric import presence

PLAYERS = range(2, 11)
EXACT = pytest.approx(0, abs=1e-10)

SPECTRAL = {
    ("leave-one-out",): lambda d: math.sqrt(d + 1),
    ("include-one",): lambda d: math.sqrt(d + 1),
    ("shapley",): lambda d: math.sqrt(2 / d),
    ("banzhaf",): lambda d: 2 ** (1 - d / 2),
    ("rise",): lambda d: math.sqrt((d + 1) / 2**d),
}
TABLES = {
    ("banzhaf", ("p", 0.25)): "1.224745 1.045825 0.883883 0.741159 0.617632 0.512114 0.422864 0.347954 0.285466",
    ("banzhaf", ("p", 0.9)): "1.509967 1.547385 1.547173 1.521757 1.479280 1.425361 1.364009 1.298141 1.229904",
    (
        "beta-shapley",
        ("alpha", 4.0),
    ): "1.311488 1.243651 1.190781 1.145711 1.105610 1.069215 1.035860 1.005126 0.976704",
    (
        "beta-shapley",
        ("beta", 16.0),
    ): "1.599091 1.730681 1.827428 1.899752 1.954205 1.995191 2.025810 2.048317 2.064396",
    ("beta-shapley", ("alpha", 2.0), ("beta", 2.0)): (
        "1.0 0.748331 0.583095 0.468606 0.385979 0.324369 0.277174 0.240184 0.210619"
    ),
    ("rise", ("p", 0.25)): "0.829156 0.684653 0.563367 0.462194 0.378221 0.308816 0.251654 0.204718 0.166279",
    ("rise", ("p", 0.75)): "1.089725 1.045825 0.950432 0.837797 0.724238 0.617632 0.521485 0.436945 0.363899",
    ("lime",): "1.729742 1.054000 0.709814 0.481233 0.329342 0.226876 0.157026 0.109062 0.075952",
    (
        "lime",
        ("kernel", "euclidean"),
    ): "1.046710 0.737539 0.518369 0.364691 0.256853 0.181054 0.127703 0.090115 0.063613",
    ("lime", ("width", 1.0)): "1.018587 0.720160 0.506885 0.356954 0.251674 0.177620 0.125440 0.088628 0.062635",
    ("lime", ("ridge", 1.0)): "0.347312 0.399587 0.393938 0.350269 0.279701 0.209054 0.150800 0.106912 0.075212",
}
BOUND = {
    ("lime", ("ridge", 1.0)): "0.757519 1.574352 2.557798 3.515684 4.324107 4.966474 5.479507 5.905190 6.274480",
    ("lime", ("kernel", "euclidean"), ("ridge", 1.0)): (
        "1.105017 1.955648 2.887812 3.749719 4.468186 5.047940 5.523492 5.928379 6.286557"
    ),
    ("lime", ("kernel", "uniform"), ("ridge", 1.0)): (
        "1.414214 2.309401 3.200000 3.975232 4.610804 5.131154 5.569826 5.953488 6.299946"
    ),
}


def of(key, players):
    return summary(key[0], players, **dict(key[1:]))


def ordering(players):
    """Return the operator of one order: each player joins those before it."""
    masks = torch.ones(players + 1, players).tril(-1).bool()
    matrix = torch.zeros(players, players + 1, dtype=torch.float64)
    index = torch.arange(players)
    matrix[index, index + 1], matrix[index, index] = 1, -1
    return RealisedOperator(masks, matrix)


@pytest.mark.parametrize("key", [*SPECTRAL, *TABLES, *BOUND])
@pytest.mark.parametrize("players", [1, *PLAYERS])
def test_closed_forms_are_the_norms_of_the_matrix(key, players):
    operator = of(key, players)
    explicit = Norms.of(operator.matrix)
    for name, value in vars(operator.norms).items():
        assert value - getattr(explicit, name) == EXACT, name
    singular = float(torch.linalg.svdvals(operator.matrix)[0])
    assert operator.spectral_norm - singular == EXACT
    rows = operator.matrix.abs().sum(dim=1)
    assert operator.bound_constant - float((rows**2).sum().sqrt()) == EXACT


@pytest.mark.parametrize("key", SPECTRAL)
@pytest.mark.parametrize("players", [*PLAYERS, 50, 196, 1000])
def test_spectral_norms_have_the_closed_forms_that_are_known(key, players):
    assert of(key, players).spectral_norm == pytest.approx(SPECTRAL[key](players), rel=1e-10)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.75])
@pytest.mark.parametrize("players", [2, 5, 10, 40])
def test_weighted_banzhaf_has_its_closed_form(p, players):
    q = p**2 + (1 - p) ** 2
    expected = math.sqrt(2 * q ** (players - 1) + (players - 1) * (2 * p - 1) ** 2 * q ** (players - 2))
    assert summary("banzhaf", players, p=p).spectral_norm == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("key", TABLES)
def test_spectral_norms_are_those_of_the_table(key):
    expected = [float(value) for value in TABLES[key].split()]
    found = [of(key, players).spectral_norm for players in PLAYERS]
    assert found == pytest.approx(expected, abs=6e-7)


@pytest.mark.parametrize("key", BOUND)
def test_bound_constants_with_a_ridge_are_those_of_the_table(key):
    expected = [float(value) for value in BOUND[key].split()]
    assert [of(key, players).bound_constant for players in PLAYERS] == pytest.approx(expected, abs=6e-7)


@pytest.mark.parametrize("players", [*PLAYERS, 196])
def test_bound_constants_are_those_of_the_theorems(players):
    twice = [("leave-one-out",), ("include-one",), ("shapley",), ("banzhaf",), ("banzhaf", ("p", 0.9))]
    twice += [("beta-shapley", ("alpha", 4.0)), ("lime",), ("lime", ("kernel", "euclidean")), ("lime", ("width", 1.0))]
    for key in twice:
        assert of(key, players).bound_constant == pytest.approx(2 * math.sqrt(players), rel=1e-10), key
    assert summary("rise", players).bound_constant == pytest.approx(math.sqrt(players), rel=1e-10)
    assert summary("rise", players, p=0.3).bound_constant == pytest.approx(math.sqrt(players), rel=1e-10)


@pytest.mark.parametrize("players", PLAYERS)
def test_the_other_norms_have_the_closed_forms_of_the_sheet(players):
    d = players
    shapley = math.sqrt(2 / d * sum(1 / math.comb(d - 1, s) for s in range(d)))
    expected = {
        "leave-one-out": (2, d, math.sqrt(d), math.sqrt(2 * d)),
        "shapley": (2, 1, 1 / math.sqrt(d), shapley),
        "banzhaf": (2, d * 2.0 ** (1 - d), math.sqrt(d) * 2.0 ** (1 - d), math.sqrt(d) * 2 ** (1 - d / 2)),
        "rise": (1, d * 2.0 ** (1 - d), math.sqrt(d) * 2.0 ** (1 - d), math.sqrt(d) * 2 ** ((1 - d) / 2)),
    }
    for name, values in expected.items():
        found = summary(name, d).norms
        assert (found.row, found.column, found.length, found.frobenius) == pytest.approx(values, abs=1e-10), name
    found = ordering(d)
    assert found.spectral_norm == pytest.approx(math.sqrt(2 + 2 * math.cos(math.pi / (d + 1))), abs=1e-10)
    assert found.bound_constant == pytest.approx(2 * math.sqrt(d), abs=1e-10)


def test_infinity_to_one_norms_are_those_of_the_table():
    shapley = [2, 3.333333, 4, 4.4, 4.933333, 5.428571, 5.857143, 6.190476, 6.609524]
    banzhaf = [2, 3, 3, 3.75, 3.75, 4.375, 4.375, 4.921875, 4.921875]
    for players, one, other in zip(PLAYERS, shapley, banzhaf, strict=True):
        assert summary("shapley", players).infinity_to_one_norm == pytest.approx(one, abs=6e-7)
        assert summary("banzhaf", players).infinity_to_one_norm == pytest.approx(other, abs=1e-10)
        assert summary("leave-one-out", players).infinity_to_one_norm == pytest.approx(2 * players)
        assert summary("rise", players).infinity_to_one_norm == pytest.approx(players)


@pytest.mark.parametrize("key", [*SPECTRAL, ("lime",), ("banzhaf", ("p", 0.2))])
@pytest.mark.parametrize("players", range(1, 8))
def test_the_infinity_to_one_norm_is_the_largest_over_all_signs(key, players):
    operator = of(key, players)
    signs = 2 * presence(players).double() - 1
    expected = float((signs @ operator.matrix).abs().sum(dim=1).max())
    assert operator.infinity_to_one_norm == pytest.approx(expected, abs=1e-10)


def test_a_kernel_that_peaks_at_middle_sizes_has_more_than_the_usual_constant():
    for tau, row, bound in ((0.3, 2.740, 7.750), (0.6, 2.256, 6.382), (2.0, 2.000, 5.657)):
        found = summary("lime", 8, kernel=lambda share, tau=tau: torch.exp(-((8 * share - 4) ** 2) / (2 * tau**2)))
        assert (found.norms.row, found.bound_constant) == pytest.approx((row, bound), abs=6e-4)


def test_ridge_bounds_the_norms_whatever_the_kernel():
    weights = torch.rand(2**6, generator=torch.Generator().manual_seed(0)).double()
    for ridge in (0.01, 1.0, 100.0):
        found = regression(presence(6), weights, ridge=ridge)
        assert found.spectral_norm <= math.sqrt(float(weights.max())) / (2 * math.sqrt(ridge))
        assert found.sharper.model <= math.sqrt(float(weights.sum())) / (2 * math.sqrt(ridge))
    assert summary("lime", 2, kernel="uniform", ridge=1.0).spectral_norm == pytest.approx(0.5)


def largest_over_signs(matrix):
    """Return the norm from the largest |value| to length, over all 2^M signs."""
    signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=matrix.shape[1] - 1)), dtype=torch.float64)
    return float((signs @ matrix[:, 1:].T + matrix[:, 0]).norm(dim=1).max())


@pytest.mark.parametrize("players", [2, 3, 4])
def test_the_constants_lie_above_the_largest_change_over_all_signs(players):
    expected = {"leave-one-out": 2 * players**0.5, "rise": players**0.5, "shapley": 2.0, "banzhaf": 2.0}
    for name, value in expected.items():
        operator = summary(name, players)
        found = largest_over_signs(operator.matrix)
        assert found == pytest.approx(value, abs=1e-10)
        assert found <= operator.sharper.model + 1e-10
    for key in TABLES:
        operator = of(key, players)
        assert largest_over_signs(operator.matrix) <= operator.sharper.model + 1e-10, key


@pytest.mark.parametrize("players", [*PLAYERS, 30, 100])
def test_the_sharper_constants_are_at_most_those_of_the_sheet(players):
    d = players
    limits = {
        ("leave-one-out",): (2 * math.sqrt(d), math.sqrt(d) + math.sqrt(d - 1)),
        ("shapley",): (math.pi, 2.0),
        ("banzhaf",): (2.0, math.sqrt(2)),
        ("banzhaf", ("p", 0.2)): (1 / math.sqrt(0.16), 1 / math.sqrt(0.8)),
        ("rise",): (math.sqrt(d), math.sqrt((d + 1) / 2)),
        ("rise", ("p", 0.7)): (math.sqrt(d), math.sqrt(0.7 * d + 0.3)),
        ("include-one",): (2 * math.sqrt(d), 1.0),
    }
    for key, (model, given_) in limits.items():
        found = of(key, d).sharper
        assert found.model <= model + 1e-10, key
        assert found.input <= given_ + 1e-10, key
    for name in ("leave-one-out", "include-one"):
        found = summary(name, d).sharper
        assert (found.model, found.input) == pytest.approx(limits[(name,)], rel=1e-10)
    assert summary("banzhaf", d).sharper.model == pytest.approx(2.0, rel=1e-10)


@given(seed=st.integers(0, 2**32), players=st.integers(2, 8), pick=st.integers(0, 30), even=st.booleans())
@settings(max_examples=150, deadline=None)
def test_ascent_never_climbs_over_the_constants(seed, players, pick, even):
    keys = [*SPECTRAL, *TABLES, *BOUND]
    operator = of(keys[pick % len(keys)], players)
    assert climbed(operator, torch.ones(2**players).double(), seed) <= operator.sharper.model * (1 + 1e-10)
    generator = torch.Generator().manual_seed(seed)
    delta = torch.ones(players) if even else torch.randn(players, generator=generator).abs() ** 3
    lengths = (presence(players).double() @ (delta.double() / delta.double().norm()) ** 2).sqrt()
    assert climbed(operator, lengths, seed) <= operator.sharper.input * (1 + 1e-10)


def test_ascent_reaches_what_the_sheet_found():
    expected = {"shapley": 1.3361, "banzhaf": 1.3749, "rise": 1.8444, "leave-one-out": 4.6856, "include-one": 1.0}
    lengths = (presence(6).sum(dim=1) / 6).double().sqrt()
    for name, value in expected.items():
        assert climbed(summary(name, 6), lengths, 0) == pytest.approx(value, abs=6e-4), name
