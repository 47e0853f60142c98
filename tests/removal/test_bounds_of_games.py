"""Games and estimators of networks keep their bounds, with a certified constant of the network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sam_toolkit.removal import estimators
from sam_toolkit.removal.bounds import chain
from sam_toolkit.removal.games import game
from sam_toolkit.removal.gaussian import Gaussian
from sam_toolkit.removal.limits import conditional_removal, fixed_removal, model_change
from sam_toolkit.removal.lipschitz import product_lipschitz
from sam_toolkit.removal.players import patches
from sam_toolkit.removal.removals import Baseline, GaussianConditional, Marginal
from sam_toolkit.removal.summaries import summary
from sam_toolkit.removal.total_variation import gaussian_law

NAMES = ["leave-one-out", "include-one", "shapley", "banzhaf", "beta-shapley", "rise", "lime"]
FEATURES = 5
DRAW = estimators.seeded(0)
DESIGNS = [
    estimators.permutations(FEATURES, 4, DRAW), estimators.permutations(FEATURES, 2, DRAW, antithetic=True),
    estimators.kernel_shap(FEATURES, 8, DRAW), estimators.inclusion(FEATURES, 12, DRAW),
    estimators.difference(FEATURES, 12, DRAW), estimators.regression(FEATURES, 15, DRAW),
]  # fmt: skip


def table_network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(FEATURES, 12), nn.ReLU(), nn.Linear(12, 3)).double().eval()


def covariance(seed):
    root = torch.randn(FEATURES, FEATURES, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return root @ root.T + 0.2 * torch.eye(FEATURES)


def removals(seed):
    """Return removals of rows, each with what it makes of a Lipschitz constant and a distance."""
    law = Gaussian.of(torch.zeros(FEATURES), covariance(seed))
    background = torch.randn(9, FEATURES, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return [
        (Baseline(torch.linspace(-1, 1, FEATURES)), fixed_removal),
        (Marginal(background), fixed_removal),
        (
            GaussianConditional(law, samples=64),
            lambda lipschitz, distance: conditional_removal(
                lipschitz, distance, gaussian_law(law.covariance), oscillation=1.0
            ),
        ),
    ]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", range(3))
def test_every_summary_and_estimator_of_a_changed_row_keeps_its_bounds(seed, kind):
    network, (removal, limit) = table_network(seed), removals(seed)[kind]
    lipschitz = product_lipschitz(network, (FEATURES,), 1, score="probability")
    generator = torch.Generator().manual_seed(seed)
    row, direction = torch.randn(2, FEATURES, dtype=torch.float64, generator=generator)
    for scale in (0.01, 1.0):
        before, after = (game(network, each, None, removal, target=1) for each in (row, row + scale * direction))
        bound = limit(lipschitz, scale * float(direction.norm()))
        for name in NAMES:
            assert not chain(summary(name, FEATURES), before.values, after.values, bound).broken
        for design in DESIGNS:
            found = chain(design.operator, before.of(design.masks), after.of(design.masks), bound)
            assert not found.broken
            difference = (
                design.estimate(after.of(design.masks)).values - design.estimate(before.of(design.masks)).values
            )
            assert found.measured == pytest.approx(float(difference.norm()), rel=1e-9)


def test_every_summary_of_a_changed_network_keeps_its_bounds():
    row, masks = torch.linspace(-1, 2, FEATURES, dtype=torch.float64), DESIGNS[0].masks
    for seed in range(6):
        for removal, _ in removals(seed):
            games = [game(table_network(each), row, None, removal, target=0) for each in (seed, seed + 1)]
            for name in NAMES:
                values = [each.values for each in games]
                assert not chain(summary(name, FEATURES), *values, model_change(1.0)).broken
            realised = DESIGNS[0].operator
            assert not chain(realised, *(each.of(masks) for each in games), model_change(1.0)).broken


def test_patches_of_an_image_keep_their_bounds():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten(), nn.LazyLinear(4)
    ).double()
    network.eval()(torch.zeros(1, 3, 12, 12, dtype=torch.float64))
    lipschitz = product_lipschitz(network, (3, 12, 12), 2)
    players = patches((12, 12), 6)
    image, change = torch.rand(2, 3, 12, 12, dtype=torch.float64)
    before, after = (
        game(network, each, players, Baseline(0.5), target=2, score="logit") for each in (image, image + 0.1 * change)
    )
    for name in NAMES:
        found = chain(
            summary(name, 6), before.values, after.values, fixed_removal(lipschitz, float(change.norm()) / 10)
        )
        assert not found.broken
        assert found.measured > 0


def test_permutations_have_the_constant_of_the_shapley_value_at_most():
    for samples in (1, 10, 100):
        design = estimators.permutations(8, samples, DRAW)
        assert design.operator.bound_constant <= 2 * 8**0.5 * (1 + 1e-12)


@pytest.mark.parametrize(("pairs", "median"), [(25, 8.11), (100, 6.47), (500, 6.33)])
def test_paired_kernel_shap_has_the_larger_constants_of_the_sheet(pairs, median):
    found = []
    for seed in range(20):
        design = estimators.kernel_shap(10, pairs, estimators.seeded(seed))
        found.append(design.operator.bound_constant)
    assert min(found) >= 2 * 10**0.5 - 1e-9
    assert float(torch.tensor(found).median()) == pytest.approx(median, rel=0.02)
