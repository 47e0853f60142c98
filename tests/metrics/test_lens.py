"""LENS on its worked examples, and against brute force on random small maps; nothing is approximate but roots."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import NamedTuple

import pytest
import torch
from metrics import lens_by_hand as hand
from metrics.lens_examples import EXAMPLES
from torch import Tensor

from sam_toolkit import Kendall, LensKendall, LensPrecision, LensRecall, LensSpearman, Spearman, TopKIntersection
from sam_toolkit.errors import ComponentError
from sam_toolkit.metrics.growing_sets import Sets, top_k_mask

WINDOWS = [
    pytest.param(example, window, id=f"{name}-w{window.w}")
    for name, example in EXAMPLES.items()
    for window in example.windows
]
MAPS, CASES = 1000, 40


def exact(fraction: Fraction) -> float:
    return fraction.numerator / fraction.denominator


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_worked_examples_without_windows(example):
    a, b = example.a, example.b
    assert TopKIntersection(k=example.k)(a, b) == exact(example.intersection)
    assert float(Spearman()(a, b)) == pytest.approx(example.rho, abs=1e-9)
    assert float(Kendall()(a, b)) == pytest.approx(example.tau, abs=1e-9)


@pytest.mark.parametrize(("example", "window"), WINDOWS)
def test_worked_examples_of_the_top_k_family(example, window):
    a, b, at = example.a, example.b, {"k": example.k, "w": window.w}
    assert LensRecall(**at)(a, b) == exact(window.recall)
    assert LensPrecision(**at)(a, b) == exact(window.precision)
    size = a.numel()
    assert LensRecall(**at).scores(a, b).extras["chance"] == window.near[0] / size
    assert LensPrecision(**at).scores(a, b).extras["chance"] == window.near[1] / size


@pytest.mark.parametrize(("example", "window"), WINDOWS)
def test_worked_examples_of_diverse_sets(example, window):
    a, b, at = example.a, example.b, {"k": example.k, "w": window.w, "diverse": True}
    first, second, hits = len(window.first), len(window.second), window.hits
    recall = LensRecall(**at).scores(a, b)
    assert TopKIntersection(**at)(a, b) == hits[0] / second
    assert recall.values == hits[1] / second
    assert LensPrecision(**at)(a, b) == hits[2] / first
    assert (recall.extras["found_first"], recall.extras["found_second"]) == (first, second)
    for values, expected in ((a, window.first), (b, window.second)):
        sets = Sets.of(values[None, None], [example.k]).growing(window.w, 0)
        picks = [(pick // a.shape[1], pick % a.shape[1]) for pick in sets.picks.flatten().tolist() if pick >= 0]
        assert picks == expected
        mask = top_k_mask(values, example.k, window.w)
        assert sorted(expected) == [tuple(pixel) for pixel in mask.nonzero().tolist()]


@pytest.mark.parametrize("padding", ["zero", "valid", "symmetric"])
@pytest.mark.parametrize(("example", "window"), WINDOWS)
def test_worked_examples_of_smoothed_correlations(example, window, padding):
    a, b, at = example.a, example.b, {"w": window.w, "padding": padding}
    assert float(LensSpearman(**at)(a, b)) == pytest.approx(window.rho[padding], abs=1e-9)
    assert float(LensKendall(**at)(a, b)) == pytest.approx(window.tau[padding], abs=1e-9)


class Case(NamedTuple):
    """Maps `[N, H, W]` of one size in pairs, and values for k and w, up to their limits."""

    a: Tensor
    b: Tensor
    ks: list[int]
    ws: list[int]


def random_case(number: int) -> Case:
    """Return maps of a few pixels, with ties more often than not, negative values, and shifted ones."""
    generator = torch.Generator().manual_seed(number)

    def below(limit: int) -> int:
        return int(torch.randint(limit, (1,), generator=generator))

    height, width = 1 + below(6), 1 + below(6)
    pairs = [torch.randint(-most // 3, most, (2, height, width), generator=generator) for most in (2, 4, 9, 30, 1000)]
    maps = torch.stack(pairs * (MAPS // CASES // len(pairs)), dim=1).float()
    maps[1, 5:10] = maps[0, 5:10].roll((below(3), below(3)), (1, 2))
    maps[:, 10:] = maps[:, 10:, torch.randperm(height, generator=generator)]
    maps[1, 15:] = torch.randint(3, (len(maps[1, 15:]), height, width), generator=generator)
    pixels = height * width
    ks = dict.fromkeys([1, pixels, 1 + below(pixels)])
    ws = dict.fromkeys([1, below(4), max(height, width) - below(2)])
    return Case(*maps, list(ks), list(ws))


@pytest.mark.parametrize("diverse", [False, True])
@pytest.mark.parametrize("number", range(CASES))
def test_random_small_maps_agree_with_brute_force_exactly(number, diverse):
    a, b, ks, ws = random_case(number)
    at = {"k": ks, "w": ws, "diverse": diverse}
    recall, precision = LensRecall(**at).scores(a, b), LensPrecision(**at)(a, b)
    intersection = TopKIntersection(**at)(a, b)
    for (i, k), (j, w), n in itertools.product(enumerate(ks), enumerate(ws), range(len(a))):
        rows = hand.as_rows(a[n]), hand.as_rows(b[n])
        case = (*rows, k, w, diverse)
        assert recall.values[i, j, n] == exact(hand.recall(*case)), case
        assert precision[i, j, n] == exact(hand.precision(*case)), case
        assert intersection[i, j, n] == exact(hand.intersection(*case)), case
        assert recall.extras["chance"][i, j, n] == exact(hand.chance(rows[0], k, w, diverse)), case
        if diverse:
            found = [len(hand.chosen(values, k, w, True)) for values in rows]
            assert [recall.extras[name][i, j, n] for name in ("found_first", "found_second")] == found


@pytest.mark.parametrize("number", range(CASES))
def test_correlations_of_random_small_maps_agree_with_brute_force(number):
    a, b, _, (w, *_) = random_case(number)
    w = (w, 0, 2)[number % 3]
    for padding in ("zero", "valid", "symmetric"):
        rho, tau = LensSpearman(w=w, padding=padding)(a, b), LensKendall(w=w, padding=padding)(a, b)
        for n in range(len(a)):
            smooth = (hand.smoothed(hand.as_rows(values[n]), w, padding) for values in (a, b))
            expected = hand.rank_correlations(*smooth)
            # Windows that hold equal values must be found equal: a rank more or less would show far above this.
            assert (float(rho[n]), float(tau[n])) == pytest.approx(expected, abs=1e-13, nan_ok=True)


def test_lists_give_a_value_each_and_batches_one_an_image():
    a, b = torch.rand(2, 3, 9, 8, generator=torch.Generator().manual_seed(0))
    found = LensRecall(k=[5, 20], w=[0, 1, 3])(a, b)
    assert found.shape == (2, 3, 3)
    for i, k in enumerate([5, 20]):
        for j, w in enumerate([0, 1, 3]):
            assert found[i, j].tolist() == [float(LensRecall(k=k, w=w)(a[n], b[n])) for n in range(3)]


def test_corrected_values_are_0_at_chance_and_undefined_where_chance_is_all():
    a, b = torch.rand(2, 12, 12, generator=torch.Generator().manual_seed(0))
    scores = LensRecall(k=[5, 144], w=2).scores(a, b)
    value, chance = scores.values[0], scores.extras["chance"][0]
    assert scores.extras["corrected"][0] == (value - chance) / (1 - chance)
    assert scores.extras["corrected"][1].isnan()
    assert scores.values[1] == 1


def test_a_map_with_nan_has_no_value_and_hurts_no_other():
    a, b = torch.rand(2, 2, 6, 6, generator=torch.Generator().manual_seed(0))
    a[0, 2, 2] = torch.nan
    for metric in (TopKIntersection(k=4), LensRecall(k=4), LensPrecision(k=4, diverse=True), LensSpearman(), Kendall()):
        scores = metric.scores(a, b)
        assert scores.values.isnan().tolist() == [True, False]
        assert scores.extras["corrected"].isnan().tolist() == [True, False]
    assert not top_k_mask(a, 4)[0].any()


@pytest.mark.parametrize("maps", [(6, 6), (2, 3, 6, 6)])
def test_masks_keep_the_shape_of_the_maps(maps):
    values = torch.rand(maps, generator=torch.Generator().manual_seed(0))
    mask = top_k_mask(values, 5)
    assert mask.shape == values.shape
    assert (mask.sum((-2, -1)) == 5).all()


def test_a_k_beyond_the_map_and_a_negative_w_are_refused():
    a = torch.rand(4, 5)
    with pytest.raises(ComponentError, match=r"k must be at most the pixels of a map, 4 x 5 = 20; got 21"):
        LensRecall(k=[3, 21])(a, a)
    with pytest.raises(ComponentError, match=r"top_k_mask: k must be at least 1 and w at least 0; got k=3, w=-1"):
        top_k_mask(a, 3, -1)
    with pytest.raises(ComponentError, match=r"LensRecall: w: .*greater than or equal to 0; got -1"):
        LensRecall(w=-1)
