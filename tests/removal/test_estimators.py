from functools import partial

import pytest
import torch
from worlds import banzhaf, least_squares, mean_when_included, random_values, shapley

from sam_toolkit import ComponentError
from sam_toolkit.removal.estimators import (
    difference,
    inclusion,
    kernel_shap,
    permutations,
    regression,
    seeded,
    without_chance,
)
from sam_toolkit.removal.games import Game
from sam_toolkit.removal.summaries import summary
from sam_toolkit.removal.symmetric import presence

PLAYERS = 5
GAME = Game(PLAYERS, random_values(PLAYERS))


BETA = summary("beta-shapley", PLAYERS, alpha=4, beta=1)


def cosine(share):
    return torch.exp(-((1 - share.sqrt()) ** 2) / (2 * 0.25**2))


ESTIMATORS = {
    "permutation": (permutations, 60, shapley(PLAYERS)),
    "antithetic": (partial(permutations, antithetic=True), 60, shapley(PLAYERS)),
    "permutation, beta-shapley": (partial(permutations, of=BETA), 60, BETA.matrix),
    "permutation, banzhaf": (partial(permutations, of=summary("banzhaf", PLAYERS)), 60, banzhaf(PLAYERS)),
    "paired kernel": (kernel_shap, 100, shapley(PLAYERS)),
    "mean when included": (inclusion, 100, mean_when_included(PLAYERS)),
    "difference of means": (difference, 100, banzhaf(PLAYERS)),
    "difference of means, keep 0.7": (partial(difference, keep=0.7), 150, banzhaf(PLAYERS, 0.7)),
    "least squares": (regression, 100, banzhaf(PLAYERS)),
    "lime": (
        partial(regression, kernel=cosine, ridge=0.5),
        100,
        least_squares(PLAYERS, cosine(presence(PLAYERS).double().mean(dim=1)), 0.5),
    ),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_intervals_of_95_percent_hold_the_exact_value_as_often_as_they_say(name):
    make, samples, exact = ESTIMATORS[name]
    truth, held = exact @ GAME.values, []
    for seed in range(100):
        design = make(PLAYERS, samples, seeded(seed))
        low, high = design.estimate(GAME.of(design.masks)).interval()
        held.append((low <= truth) & (truth <= high))
    assert 0.88 <= float(torch.stack(held).double().mean()) <= 0.99


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimate_of_many_samples_is_within_four_of_its_small_errors(name):
    make, samples, exact = ESTIMATORS[name]
    design = make(PLAYERS, 100 * samples, seeded(7))
    found = design.estimate(GAME.of(design.masks))
    assert float(found.errors.max()) < 0.012
    assert bool(((found.values - exact @ GAME.values).abs() < 4 * found.errors).all())


@pytest.mark.parametrize("name", ESTIMATORS)
def test_masks_of_fewer_samples_are_the_first_of_more(name):
    make, samples, _ = ESTIMATORS[name]
    few, many = (make(PLAYERS, count, seeded(3)).masks for count in (samples, 2 * samples))
    ends = 1 + int(name == "paired kernel")
    assert torch.equal(few[: 1 - ends or None], many[: len(few) - ends + 1])


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_same_design_on_two_games_estimates_their_difference_with_less_error(name):
    make, samples, _ = ESTIMATORS[name]
    design = make(PLAYERS, samples, seeded(1))
    values = GAME.of(design.masks)
    other = values + 0.01 * Game(PLAYERS, random_values(PLAYERS, seed=9)).of(design.masks)
    first, second, between = (design.estimate(each) for each in (values, other, other - values))
    torch.testing.assert_close(second.values - first.values, between.values)
    assert float(between.errors.max()) < 0.1 * float(first.errors.max())


@pytest.mark.parametrize("name", ["permutation", "antithetic", "paired kernel"])
def test_estimates_of_the_shapley_value_are_efficient(name):
    make, samples, _ = ESTIMATORS[name]
    design = make(PLAYERS, samples, seeded(2))
    total = design.estimate(GAME.of(design.masks)).values.sum()
    assert float(total) == pytest.approx(float(GAME.values[-1] - GAME.values[0]))


@pytest.mark.parametrize("samples", [1, 7, 40])
def test_the_realised_operator_of_orders_has_rows_whose_absolute_sum_is_at_most_2(samples):
    rows = permutations(9, samples, seeded(0)).operator.matrix.abs().sum(dim=1)
    assert float(rows.max()) <= 2 + 1e-12


def test_orders_give_what_a_loop_over_them_gives():
    draw = seeded(4)
    expected = torch.zeros(PLAYERS, dtype=torch.float64)
    for index in range(12):
        present = 0
        for player in torch.randperm(PLAYERS, generator=draw(index)).tolist():
            joined = present | 1 << player
            expected[player] += (GAME.values[joined] - GAME.values[present]) / 12
            present = joined
    design = permutations(PLAYERS, 12, draw)
    torch.testing.assert_close(design.estimate(GAME.of(design.masks)).values, expected)


def test_paired_kernel_masks_of_every_subset_give_the_exact_shapley_value():
    design = kernel_shap(3, 400, seeded(0))
    values = random_values(3)
    linear = presence(3).double() @ torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64) + 0.1
    estimate = design.estimate(Game(3, linear).of(design.masks))
    torch.testing.assert_close(estimate.values, shapley(3) @ linear)
    assert float(estimate.errors.max()) < 1e-10
    assert float(design.estimate(Game(3, values).of(design.masks)).errors.max()) > 0


def test_antithetic_orders_have_less_error_for_as_many_rows():
    plain, antithetic = (
        permutations(PLAYERS, count, seeded(0), antithetic=paired) for count, paired in ((200, False), (100, True))
    )
    assert len(plain.masks) == len(antithetic.masks)
    errors = [float(design.estimate(GAME.of(design.masks)).errors.mean()) for design in (plain, antithetic)]
    assert errors[1] < errors[0]


def test_vectors_have_an_estimate_each():
    design = permutations(PLAYERS, 20, seeded(0))
    values = torch.stack([GAME.of(design.masks), 2 * GAME.of(design.masks)])
    found = design.estimate(values)
    torch.testing.assert_close(found.values[1], 2 * found.values[0])
    torch.testing.assert_close(found.errors[1], 2 * found.errors[0])


@pytest.mark.parametrize("name", ["leave-one-out", "include-one"])
@pytest.mark.parametrize("players", [1, 2, 5])
def test_summaries_that_read_one_mask_a_player_have_no_error(name, players):
    exact, whole = summary(name, players), Game(players, random_values(players))
    design = without_chance(exact)
    found = design.estimate(whole.of(design.masks))
    assert len(design.masks) == players + 1
    torch.testing.assert_close(found.values, exact.apply(whole.values))
    assert not found.errors.any()


def test_a_summary_that_reads_all_masks_is_not_without_chance():
    with pytest.raises(ComponentError, match="reads masks of sizes 0 to 5"):
        without_chance(summary("shapley", PLAYERS))


def test_a_summary_that_is_no_mean_of_contributions_is_not_estimated_from_orders():
    with pytest.raises(ComponentError, match="no weighted mean of 5 players' contributions"):
        permutations(PLAYERS, 3, seeded(0), of=summary("rise", PLAYERS))


def test_a_fit_on_few_masks_has_a_larger_bound_than_the_exact_value():
    few, many = (kernel_shap(10, count, seeded(0)).operator.bound_constant for count in (12, 500))
    assert few > 1.2 * 2 * 10**0.5
    assert many == pytest.approx(2 * 10**0.5, rel=0.02)


@pytest.mark.parametrize("make", [kernel_shap, regression])
def test_too_few_masks_for_a_fit_are_refused(make):
    with pytest.raises(ComponentError, match="do not tell 8 players apart"):
        make(8, 2, seeded(0))


def test_one_player_is_too_few_for_a_regression_on_sizes():
    with pytest.raises(ComponentError, match="2 players or more"):
        kernel_shap(1, 10, seeded(0))


def test_values_of_other_masks_are_refused():
    with pytest.raises(ComponentError, match="4 masks, 3 players"):
        inclusion(3, 4, seeded(0)).estimate(torch.zeros(5))
