"""Agreement of signs by counting, and its chance level over every order of the pixels."""

from __future__ import annotations

import itertools

import pytest
import torch

from sam_toolkit import SignAgreement

A, B = torch.randint(-3, 4, (2, 3, 6, 9), generator=torch.Generator().manual_seed(0)).float()


def test_all_pixels_are_counted_zero_being_a_sign_of_its_own():
    expected = [float((a.sign() == b.sign()).double().mean()) for a, b in zip(A, B, strict=True)]
    assert SignAgreement()(A, B).tolist() == expected


@pytest.mark.parametrize("k", [1, 7, 54])
def test_with_k_only_the_pixels_of_largest_absolute_value_in_both_maps_agree(k):
    for a, b in zip(A.flatten(1), B.flatten(1), strict=True):
        first, second = (sorted(range(54), key=lambda i, v=v: (-abs(float(v[i])), i))[:k] for v in (a, b))
        agreeing = [i for i in set(first) & set(second) if a[i].sign() == b[i].sign()]
        assert SignAgreement(k=k)(a.reshape(6, 9), b.reshape(6, 9)) == len(agreeing) / k


@pytest.mark.parametrize("k", [None, 1, 3])
def test_chance_is_the_mean_over_every_order_of_one_maps_pixels(k):
    a, b = torch.tensor([[[-3.0, 1, 0], [2, -1, 4]], [[5.0, -2, 1], [0, -4, 3]]])
    orders = torch.tensor(list(itertools.permutations(range(6))))
    shuffled = b.flatten()[orders].reshape(-1, 2, 3)
    expected = float(SignAgreement(k=k)(a.expand_as(shuffled), shuffled).mean())
    for scores in (SignAgreement(k=k).scores(a, b), SignAgreement(k=k).scores(b, a)):
        assert float(scores.extras["chance"]) == pytest.approx(expected, abs=1e-12)


def test_a_map_with_nan_has_no_agreement():
    broken = A.clone()
    broken[1, 0, 0] = torch.nan
    assert SignAgreement()(broken, B).isnan().tolist() == [False, True, False]
    assert SignAgreement(k=3)(B, broken).isnan().tolist() == [False, True, False]
