"""Intervals and indices against scipy, against their definition, and on too few images."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sam_toolkit.study.statistics import FEW, LEAST, index, interval


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
