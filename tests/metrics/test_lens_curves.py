"""Curves over k and over w are the single values one after another."""

from __future__ import annotations

import pytest
import torch

from sam_toolkit import LensPrecision, LensRecall, TopKIntersection, lens_over_k, lens_over_w
from sam_toolkit.errors import ComponentError

GENERATOR = torch.Generator().manual_seed(0)
A, B = torch.randint(0, 12, (2, 3, 7, 9), generator=GENERATOR).float()
EVERY_K = list(range(1, 64))


@pytest.mark.parametrize("diverse", [False, True])
@pytest.mark.parametrize("w", [0, 1, 3])
@pytest.mark.parametrize(("of", "metric"), [("recall", LensRecall), ("precision", LensPrecision)])
def test_a_curve_over_k_has_the_value_of_each_k(of, metric, w, diverse):
    expected = metric(k=EVERY_K, w=w, diverse=diverse)(A, B).T
    assert torch.equal(lens_over_k(A, B, w, of, diverse), expected)
    assert torch.equal(lens_over_k(A[0], B[0], w, of, diverse), expected[0])


def test_without_a_window_it_is_the_intersection():
    assert torch.equal(lens_over_k(A, B, 0), TopKIntersection(k=EVERY_K)(A, B).T)


@pytest.mark.parametrize(("of", "metric"), [("recall", LensRecall), ("precision", LensPrecision)])
def test_a_curve_over_w_has_the_value_of_each_w(of, metric):
    for k in (1, 10, 63):
        expected = metric(k=k, w=list(range(9)))(A, B).T
        assert torch.equal(lens_over_w(A, B, k, of), expected)
        assert torch.equal(lens_over_w(A[1], B[1], k, of), expected[1])


def test_a_map_with_nan_has_no_curve():
    a = A.clone()
    a[1, 0, 0] = torch.nan
    for curves in (lens_over_k(a, B), lens_over_k(B, a, of="precision"), lens_over_w(a, B, 5), lens_over_w(B, a, 5)):
        assert curves.isnan().all(dim=1).tolist() == [False, True, False]
        assert not curves[0].isnan().any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lens_over_k(A, B[0]), r"one shape; got \[3, 7, 9\] and \[7, 9\]"),
        (lambda: lens_over_k(A, B, -1), "w must be at least 0; got -1"),
        (lambda: lens_over_w(A, B, 64), "k must be at most the pixels of a map, 7 x 9 = 63; got 64"),
        (lambda: lens_over_w(A, B, 4, "f1"), "of must be 'recall' or 'precision'; got 'f1'"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ComponentError, match=message):
        call()
