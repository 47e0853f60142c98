"""Intervals and indices against scipy, against their definition, and on too few images."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sam_toolkit.study.statistics import (
    DRAWS,
    FEW,
    LEAST,
    descending_ranks,
    deviations,
    draw_means,
    holm,
    index,
    interval,
    kendall,
    signed_rank,
)


def test_interval_is_scipys_bca_bootstrap():
    values = np.random.default_rng(1).gamma(2.0, size=30)
    found = interval(values, seed=5)
    expected = stats.bootstrap((values,), np.mean, n_resamples=9999, rng=np.random.default_rng(5)).confidence_interval
    assert (found.low, found.high) == (expected.low, expected.high)
    assert found.mean == pytest.approx(values.mean())
    assert "BCa" in found.how


def test_undefined_images_are_left_out_and_counted():
    values = np.array([0.1, 0.4, np.nan, 0.3, 0.2, 0.5, np.nan, 0.3, 0.2, 0.1])
    found = interval(values)
    assert (found.count, found.undefined) == (8, 2)
    assert found.mean == pytest.approx(np.nanmean(values))


@pytest.mark.parametrize("count", range(LEAST))
def test_too_few_images_get_no_interval_and_say_so(count):
    found = interval(np.arange(count, dtype=float))
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert f"{count} images" in found.how
    assert math.isnan(found.mean) == (count == 0)


def test_few_images_come_with_a_warning():
    assert "care" in interval(np.arange(FEW - 1, dtype=float)).how
    assert "care" not in interval(np.arange(FEW, dtype=float)).how


def test_equal_values_give_a_point():
    found = interval(np.full(12, 0.25))
    assert (found.low, found.mean, found.high) == (0.25, 0.25, 0.25)
    assert "alike" in found.how


@given(st.lists(st.floats(-1, 1), min_size=LEAST, max_size=30), st.integers(0, 5))
def test_interval_holds_the_mean_and_repeats(values, seed):
    found = interval(np.array(values), seed)
    assert found == interval(np.array(values), seed)
    assert found.low <= found.mean + 1e-9
    assert found.mean <= found.high + 1e-9


def test_index_is_zero_at_the_floor_and_one_at_random():
    similarity = np.array([0.9, 0.1, 0.5])
    found = index(similarity, np.full(3, 0.9), np.full(3, 0.1))
    np.testing.assert_allclose(found, [0, 1, 0.5])


def test_index_is_undefined_where_a_rerun_is_no_better_than_random():
    assert np.isnan(index(np.array([0.5]), np.array([0.1]), np.array([0.2]))).all()


def test_deviations_are_within_images_as_root_mean_square_and_across_images():
    scores = np.array([[0.2, 0.6, np.nan], [0.4, 0.6, 0.1]])
    within, across = deviations(scores)
    assert within == pytest.approx(math.sqrt((0.01 + 0) / 2))
    assert across == pytest.approx(np.std([0.3, 0.6], ddof=1))
    assert np.isnan(deviations(np.full((2, 3), np.nan))).all()


def test_draws_of_means_have_the_spread_of_the_mean_and_pair_their_rows():
    values = np.random.default_rng(0).normal(size=(2, 50))
    values[1] = values[0] + 1
    draws = draw_means(values, seed=1)
    assert draws.shape == (DRAWS, 2)
    assert draws[:, 0].std() == pytest.approx(values[0].std() / math.sqrt(50), rel=0.1)
    np.testing.assert_allclose(draws[:, 1] - draws[:, 0], 1)


def test_draws_leave_out_undefined_images():
    values = np.array([[1.0, np.nan, 3.0, np.nan] * 5, [np.nan] * 20])
    draws = draw_means(values)
    assert draws[:, 0].mean() == pytest.approx(2, abs=0.05)
    assert np.isnan(draws[:, 1]).all()


def test_descending_ranks_begin_with_the_largest_and_end_with_the_undefined():
    np.testing.assert_array_equal(descending_ranks(np.array([[0.2, 0.9, np.nan, 0.2]])), [[2.5, 1, 4, 2.5]])


def test_signed_rank_is_scipys_test_and_finds_nothing_in_rounding():
    values = np.random.default_rng(0).normal(0.3, size=30)
    assert signed_rank(np.append(values, np.nan)) == stats.wilcoxon(values).pvalue
    assert signed_rank(np.full(12, 1e-9)) == 1
    assert np.isnan(signed_rank(np.ones(LEAST - 1)))


def test_holm_is_the_worked_example_of_four_tests():
    corrected = holm(np.array([0.01, np.nan, 0.04, 0.03, 0.005]))
    np.testing.assert_allclose(corrected, [0.03, np.nan, 0.06, 0.06, 0.02])
    assert len(holm(np.array([]))) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_stepping_down_rejects(p):
    corrected, level = holm(np.array(p)), 0.05
    rejected = set()
    for place, number in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[number] * (len(p) - place) > level:
            break
        rejected.add(number)
    assert {number for number, value in enumerate(corrected) if value <= level} == rejected


def test_kendall_is_scipys_tau_b_image_by_image():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 4, size=(2, 7, 5)).astype(float)
    expected = [stats.kendalltau(first[:, image], second[:, image]).statistic for image in range(5)]
    np.testing.assert_allclose(kendall(first, second), expected)
    assert np.isnan(kendall(np.ones((4, 2)), rng.random((4, 2)))).all()
