"""What holds of LENS for all maps, and what does not, by example."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import distance_transform_cdt
from torch import Tensor

from sam_toolkit import (
    Kendall,
    LensKendall,
    LensPrecision,
    LensRecall,
    LensSpearman,
    Spearman,
    TopKIntersection,
    lens_over_w,
    ops,
    smoothed,
)
from sam_toolkit.metrics.growing_sets import Sets, top_k_mask

sides = st.integers(1, 7)
windows = st.integers(0, 4)
PADDINGS = ("zero", "valid", "symmetric")


@st.composite
def pairs_of_maps(draw: st.DrawFn, count: int = 2, ties: bool = True) -> Tensor:
    """Draw maps `[count, H, W]` of whole numbers; without ties, permutations."""
    height, width = draw(sides), draw(sides)
    if not ties:
        orders = [draw(st.permutations(range(height * width))) for _ in range(count)]
        return torch.tensor(orders).reshape(count, height, width).float()
    values = draw(arrays.arrays(np.int64, (count, height, width), elements=st.integers(0, 6)))
    return torch.from_numpy(values).float()


def some_k(data: st.DataObject, maps: Tensor) -> int:
    return data.draw(st.integers(1, maps[0].numel()), label="k")


def loss(a: Tensor, b: Tensor, k: int, w: int) -> float:
    """Return the locality distance: what recall and precision lack of 1."""
    return float((1 - LensRecall(k=k, w=w)(a, b)) + (1 - LensPrecision(k=k, w=w)(a, b)))


def dilated(mask: Tensor, w: int) -> Tensor:
    return torch.nn.functional.max_pool2d(mask[None, None].double(), 2 * w + 1, 1, w)[0, 0] > 0


@settings(max_examples=60, deadline=None)
@given(pairs_of_maps(), windows, st.booleans(), st.data())
def test_p1_values_are_in_range_and_1_for_equal_maps(maps, w, diverse, data):
    a, b = maps
    k = some_k(data, maps)
    for metric in (LensRecall(k=k, w=w, diverse=diverse), LensPrecision(k=k, w=w, diverse=diverse),
                   TopKIntersection(k=k, w=w, diverse=diverse)):  # fmt: skip
        assert 0 <= float(metric(a, b)) <= 1
        assert float(metric(a, a)) == 1
    for metric in (
        Spearman(),
        Kendall(),
        *(kind(w=w, padding=p) for kind in (LensSpearman, LensKendall) for p in PADDINGS),
    ):
        value, own = float(metric(a, b)), float(metric(a, a))
        assert math.isnan(value) or -1 <= value <= 1
        assert math.isnan(own) or own == pytest.approx(1, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(pairs_of_maps(), windows, st.data())
def test_p2_no_window_gives_the_ordinary_metrics_and_windows_only_forgive(maps, w, data):
    a, b = maps
    k = some_k(data, maps)
    plain = float(TopKIntersection(k=k)(a, b))
    assert float(LensRecall(k=k, w=0)(a, b)) == float(LensPrecision(k=k, w=0)(a, b)) == plain
    assert float(LensRecall(k=k, w=0, diverse=True)(a, b)) == plain
    assert float(LensRecall(k=k, w=w)(a, b)) >= plain
    assert float(LensPrecision(k=k, w=w)(a, b)) >= plain
    for smooth, ordinary in ((LensSpearman(w=0), Spearman()), (LensKendall(w=0), Kendall())):
        assert torch.equal(smooth(a, b).nan_to_num(9), ordinary(a, b).nan_to_num(9))


@settings(max_examples=60, deadline=None)
@given(pairs_of_maps(), st.data())
def test_p3_the_locality_distance_does_not_grow_with_the_window(maps, data):
    a, b = maps
    k = some_k(data, maps)
    losses = [loss(a, b, k, w) for w in range(6)]
    assert losses == sorted(losses, reverse=True)
    apart = (top_k_mask(a, k) ^ top_k_mask(b, k)).sum() / k
    assert losses[0] == pytest.approx(float(apart), abs=1e-6)
    assert losses[0] == pytest.approx(float(2 * (1 - TopKIntersection(k=k)(a, b))), abs=1e-12)


def test_p3_does_not_hold_for_diverse_sets():
    a, b = torch.zeros(2, 7, 7)
    a[0, 0], a[0, 1], a[3, 0], a[6, 0] = 9, 8, 7, 6
    b[0, 0], b[0, 1], b[0, 5], b[3, 6] = 9, 8, 7, 6
    assert LensRecall(k=3, w=[0, 1], diverse=True)(a, b).tolist() == [2 / 3, 1 / 3]


def ordered_pairs(seed: int, count: int, size: tuple[int, int]) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    pixels = size[0] * size[1]
    orders = [torch.randperm(pixels, generator=generator) for _ in range(2 * count)]
    return torch.stack(orders).reshape(count, 2, *size).float()


@settings(max_examples=30, deadline=None)
@given(pairs_of_maps(), st.lists(st.floats(0, 5), min_size=4, max_size=4), st.data())
def test_p4_weighted_sums_over_k_and_w_are_bounded_by_those_without_windows(maps, weights, data):
    a, b = maps
    ks = [some_k(data, maps), some_k(data, maps)]
    for_each = list(zip(itertools.product(ks, (1, 2)), weights, strict=True))
    whole = sum(weight * loss(a, b, k, w) for (k, w), weight in for_each)
    bound = sum(weight * loss(a, b, k, 0) for (k, _), weight in for_each)
    assert whole <= bound + 1e-9
    assert bound <= 2 * sum(weights) + 1e-9


@settings(max_examples=60, deadline=None)
@given(pairs_of_maps(), windows, st.booleans(), st.data())
def test_p5_exchanging_the_maps_exchanges_recall_and_precision(maps, w, diverse, data):
    a, b = maps
    at = {"k": some_k(data, maps), "w": w, "diverse": diverse}
    assert float(LensRecall(**at)(a, b)) == float(LensPrecision(**at)(b, a))
    one, other = LensRecall(**at).scores(a, b), LensPrecision(**at).scores(b, a)
    assert one.extras["chance"] == other.extras["chance"]
    assert loss(a, b, at["k"], w) == loss(b, a, at["k"], w)


@pytest.mark.parametrize("w", [1, 2, 3])
def test_p6_windows_break_the_triangle_inequality(w):
    spots = torch.zeros(3, 1, 2 * w + 1)
    for place, spot in enumerate(spots):
        spot[0, place * w] = 1
    s, t, u = spots
    assert loss(s, t, 1, w) == loss(t, u, 1, w) == 0
    assert loss(s, u, 1, w) == 2


@settings(max_examples=40, deadline=None)
@given(pairs_of_maps(3), st.integers(0, 2), st.integers(0, 2), st.data())
def test_p6_what_holds_in_its_place(maps, w1, w2, data):
    k = some_k(data, maps)
    s, t, u = (top_k_mask(one, k) for one in maps)
    lost = int((s & ~dilated(u, w1 + w2)).sum())
    assert lost <= int((s & ~dilated(t, w1)).sum()) + (2 * w1 + 1) ** 2 * int((t & ~dilated(u, w2)).sum())
    a, b, c = maps
    assert loss(a, c, k, 0) <= loss(a, b, k, 0) + loss(b, c, k, 0) + 1e-9


@settings(max_examples=40, deadline=None)
@given(pairs_of_maps(1), st.integers(0, 3), st.integers(0, 3), st.data())
def test_p7_windows_of_windows_are_larger_windows(maps, w1, w2, data):
    size, k = (maps.shape[1], maps.shape[2]), some_k(data, maps)
    sets = Sets.of(maps[None], [k])
    once = sets.growing(0, w1).reach[0, 0] < k
    again = ops.reach(once.nonzero().T.int(), size, w2)[0] < int(once.sum())
    assert torch.equal(again, sets.growing(0, w1 + w2).reach[0, 0] < k)


@settings(max_examples=60, deadline=None)
@given(pairs_of_maps(), st.data())
def test_p8_the_smallest_window_that_forgives_all_is_the_hausdorff_distance(maps, data):
    a, b = maps
    k = some_k(data, maps)
    first, second = (top_k_mask(one, k).numpy() for one in (a, b))
    to_first, to_second = (distance_transform_cdt(~mask, metric="chessboard") for mask in (first, second))
    hausdorff = int(max(to_first[second].max(), to_second[first].max()))
    assert loss(a, b, k, hausdorff) == 0
    assert hausdorff == 0 or loss(a, b, k, hausdorff - 1) > 0
    both = torch.minimum(lens_over_w(a, b, k), lens_over_w(a, b, k, of="precision"))
    assert int((both < 1).sum()) == hausdorff


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(-3, 3), st.integers(-3, 3), st.integers(1, 9), st.integers(0, 9999))
def test_p8_a_shift_within_the_window_costs_nothing(w, down, across, k, seed):
    shift = (max(-w, min(w, down)), max(-w, min(w, across)))
    a = torch.zeros(12, 11)
    a[4:8, 4:7] = torch.rand(4, 3, generator=torch.Generator().manual_seed(seed)) + 1
    b = a.roll(shift, (0, 1))
    assert float(LensRecall(k=k, w=w)(a, b)) == float(LensPrecision(k=k, w=w)(a, b)) == 1


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(np.float64, st.tuples(sides, sides), elements=st.floats(-9, 9)),
    st.integers(0, 9),
    st.sampled_from([1, 2, math.inf]),
)
def test_p9_smoothing_with_zeros_or_mirrored_brings_maps_no_further_apart(values, w, order):
    difference = torch.from_numpy(values)
    for padding in ("zero", "symmetric"):
        after = torch.linalg.vector_norm(smoothed(difference, w, padding), order)
        assert float(after) <= float(torch.linalg.vector_norm(difference, order)) + 1e-9


@pytest.mark.parametrize(
    ("padding", "low", "high"), [("zero", 0.8, 0.9999), ("symmetric", 1, 1), ("valid", 1.0235, 1.0245)]
)
def test_p10_padding_decides_whether_smoothing_contracts(padding, low, high):
    each = smoothed(torch.eye(25).reshape(25, 5, 5), 1, padding).reshape(25, 25)
    norm = float(torch.linalg.matrix_norm(each, 2))
    assert low - 1e-12 <= norm <= high + 1e-12


def test_p10_means_of_what_is_inside_can_lengthen_a_map():
    sides_of = torch.tensor([2.0, 3, 2, 3, 2])
    lengthened = torch.outer(sides_of, sides_of)
    assert float((lengthened**2).sum()) == 900
    assert float((smoothed(lengthened, 1, "valid") ** 2).sum()) == pytest.approx(930.25, abs=5e-3)


@settings(max_examples=40, deadline=None)
@given(pairs_of_maps(), st.integers(1, 3), st.data())
def test_p11_ranks_know_no_scale_and_smoothed_ones_only_linear_ones(maps, w, data):
    a, b = maps
    bent = (a + 1) ** 3
    k = some_k(data, maps)
    for metric in (Spearman(), Kendall(), LensRecall(k=k, w=w), LensPrecision(k=k, w=w, diverse=True)):
        assert torch.equal(metric(bent, b).nan_to_num(9), metric(a, b).nan_to_num(9))
    for padding, moved in (("zero", 4 * a), ("valid", 4 * a + 8), ("symmetric", 4 * a + 8)):
        for kind in (LensSpearman, LensKendall):
            metric = kind(w=w, padding=padding)
            torch.testing.assert_close(metric(moved, b), metric(a, b), rtol=0, atol=1e-12, equal_nan=True)


def test_p11_does_not_hold_for_other_transforms_of_smoothed_maps():
    a, b = ordered_pairs(seed=1, count=1, size=(6, 6))[0]
    for padding in PADDINGS:
        metric = LensSpearman(w=1, padding=padding)
        assert float(metric((a / 6) ** 5, b)) != pytest.approx(float(metric(a, b)), abs=1e-3)
    assert float(LensSpearman(w=1)(a + 100, b)) != pytest.approx(float(LensSpearman(w=1)(a, b)), abs=1e-3)


MOVES = {"flipped": lambda x: x.flip(-1), "upside down": lambda x: x.flip(-2), "turned": lambda x: x.rot90(1, (-2, -1)),
         "transposed": lambda x: x.mT}  # fmt: skip


@pytest.mark.parametrize("move", MOVES)
@settings(max_examples=30, deadline=None)
@given(pairs_of_maps(ties=False), windows, st.data())
def test_p12_turning_both_maps_changes_nothing(move, maps, w, data):
    (a, b), k = maps, some_k(data, maps)
    moved_a, moved_b = (MOVES[move](one).contiguous() for one in (a, b))
    for metric in (
        LensRecall(k=k, w=w),
        LensPrecision(k=k, w=w, diverse=True),
        TopKIntersection(k=k, w=w, diverse=True),
    ):
        assert float(metric(moved_a, moved_b)) == float(metric(a, b))
    assert torch.equal(top_k_mask(moved_a, k, w), MOVES[move](top_k_mask(a, k, w)))
    for padding in PADDINGS:
        metric = LensKendall(w=w, padding=padding)
        torch.testing.assert_close(metric(moved_a, moved_b), metric(a, b), rtol=0, atol=1e-12, equal_nan=True)


@settings(max_examples=30, deadline=None)
@given(pairs_of_maps(), st.data())
def test_p12_a_window_as_large_as_the_map_holds_all(maps, data):
    a, b = maps
    w, k = max(a.shape) - 1, some_k(data, maps)
    assert float(LensRecall(k=k, w=w)(a, b)) == float(LensPrecision(k=k, w=w)(a, b)) == 1
    if w:
        assert int(top_k_mask(a, k, w).sum()) == 1


@settings(max_examples=60, deadline=None)
@given(pairs_of_maps(1), st.integers(1, 3), st.data())
def test_p13_diverse_sets_are_apart_nested_and_complete(maps, w, data):
    height, width = maps.shape[1:]
    pixels = height * width
    full = Sets.of(maps[None], [pixels]).growing(w, w)
    picks = [pick for pick in full.picks.flatten().tolist() if pick >= 0]
    assert maps.flatten()[picks[0]] == maps.max()
    for one, other in itertools.combinations(picks, 2):
        assert max(abs(one // width - other // width), abs(one % width - other % width)) > w
    k = some_k(data, maps)
    assert [pick for pick in Sets.of(maps[None], [k]).growing(w, w).picks.flatten().tolist() if pick >= 0] == picks[:k]
    assert float(full.covered[pixels]) == 1
    least = math.ceil(height / (2 * w + 1)) * math.ceil(width / (2 * w + 1))
    most = math.ceil(height / (w + 1)) * math.ceil(width / (w + 1))
    assert least <= len(picks) <= most


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 12), st.integers(0, 2))
def test_p14_the_mean_over_all_places_of_one_pixel_is_the_chance_level(seed, k, w):
    """K pixels drawn at random are each in every place equally often: rotations through all places show it exactly."""
    a, b = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(seed))
    turns = torch.stack([b.flatten().roll(places).reshape(3, 4) for places in range(12)])
    for metric in (LensRecall(k=k, w=w), TopKIntersection(k=k)):
        scores = metric.scores(a.expand(12, 3, 4), turns)
        assert float(scores.values.mean()) == pytest.approx(float(scores.extras["chance"][0]), abs=1e-12)


def test_p14_randomly_permuted_maps_score_the_chance_level():
    generator = torch.Generator().manual_seed(0)
    a = torch.rand(12, 15, generator=generator)
    others = torch.stack([torch.randperm(180, generator=generator).reshape(12, 15).float() for _ in range(4000)])
    scores = LensRecall(k=20, w=1).scores(a.expand_as(others), others)
    assert float(scores.values.mean()) == pytest.approx(float(scores.extras["chance"][0]), abs=0.006)
