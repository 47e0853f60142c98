"""What follows from scores, on scores of which it is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from sam_toolkit.study.derive import derive
from sam_toolkit.study.findings import Findings, Interval
from sam_toolkit.study.results import AccuracySummary, Experiment, Row, Sensitivity
from sam_toolkit.study.statistics import interval

IMAGES = tuple(f"photo {number}" for number in range(24))
WOBBLE = np.random.default_rng(3).normal(scale=0.01, size=(9, len(IMAGES)))
EXACT = Interval(math.nan, math.nan, math.nan, 0, 0, "")


def rows(scores: dict[str, np.ndarray | float], **changes) -> list[Row]:
    """Return the rows of values of "samples" of one experiment, and of a random map with similarity 0."""
    place = {
        "model": "net", "experiment": 0, "method": "smoothgrad", "along": "settings", "reference": "samples=800",
        "metric": "ssim", **changes,
    }  # fmt: skip
    found = [
        Row(**place, factor="samples", value=value, image=image, role="value", score=float(score))
        for value, column in scores.items()
        for image, score in zip(IMAGES, np.broadcast_to(column, len(IMAGES)), strict=True)
    ]
    return found + [Row(**place, factor="", value="", image=image, role="random", score=0.0) for image in IMAGES]


def experiment(default: str = "800", values: tuple[str, ...] = ("50", "200", "800")) -> Experiment:
    return Experiment(0, "smoothgrad", "smoothgrad", "", {"samples": values}, {"samples": default}, "")


def sensitivity(factor: str, index: np.ndarray, metric: str = "ssim", number: int = 0) -> Sensitivity:
    return Sensitivity(
        model="net", experiment=number, method="smoothgrad", along="settings", factor=factor, values=("1",),
        reference="", metric=metric, index=interval(index), similarity=EXACT, floor=EXACT, random=EXACT,
        per_image=dict(zip(IMAGES, index.tolist(), strict=True)), deterministic=True, within=0.0, across=0.0,
    )  # fmt: skip


def accuracy(setting: str, values: np.ndarray) -> AccuracySummary:
    per_image = dict(zip(IMAGES, values.tolist(), strict=True))
    return AccuracySummary("net", 0, "smoothgrad", setting, "insertion", interval(values), True, per_image)


def found(scores=(), sensitivities=(), accuracies=(), experiments=None) -> Findings:
    return derive(list(scores), list(sensitivities), list(accuracies), experiments or [experiment()], seed=0)


def test_factors_far_apart_have_ranks_without_doubt():
    ranks = found(sensitivities=[sensitivity("a", 0.2 + WOBBLE[0]), sensitivity("b", 0.7 + WOBBLE[1])]).ranks
    by_metric = [item for item in ranks if item.metric == "ssim"]
    assert [(item.factor, item.rank, item.low, item.high) for item in by_metric] == [("b", 1, 1, 1), ("a", 2, 2, 2)]
    assert by_metric[0].above_next == 1
    assert math.isnan(by_metric[1].above_next)
    assert next(replace(item, metric="ssim") for item in ranks if not item.metric) == by_metric[0]


def test_equal_factors_share_their_ranks():
    same = 0.4 + WOBBLE[0]
    ranks = found(sensitivities=[sensitivity("a", same), sensitivity("b", same)]).ranks
    assert ranks[0].above_next == 0.5


def test_close_factors_change_places_as_often_as_their_difference_changes_its_sign():
    first, second = 0.4 + 9 * WOBBLE[0], 0.4 + 9 * WOBBLE[1]
    ranks = found(sensitivities=[sensitivity("a", first), sensitivity("b", second)]).ranks
    gap = abs((first - second).mean()) / (stats.sem(first - second))
    assert ranks[0].above_next == pytest.approx(stats.norm.cdf(gap), abs=0.04)
    assert (ranks[0].low, ranks[0].high) == (1, 2)


def test_the_overall_rank_is_by_the_median_over_metrics():
    levels = {"a": (0.9, 0.1, 0.2), "b": (0.3, 0.3, 0.3)}
    items = [
        sensitivity(factor, level + WOBBLE[0], metric)
        for factor, own in levels.items()
        for metric, level in zip(("ssim", "hog", "spearman"), own, strict=True)
    ]
    ranks = found(sensitivities=items).ranks
    assert [item.factor for item in ranks if not item.metric] == ["b", "a"]
    assert [item.factor for item in ranks if item.metric == "ssim"] == ["a", "b"]


def test_factors_without_an_index_come_last_and_few_images_give_no_draws():
    nothing = np.full(len(IMAGES), np.nan)
    ranks = found(sensitivities=[sensitivity("a", nothing), sensitivity("b", 0.1 + WOBBLE[0])]).ranks
    assert [item.factor for item in ranks if item.metric] == ["b", "a"]
    few = 0.1 + WOBBLE[0]
    few[5:] = np.nan
    ranks = found(sensitivities=[sensitivity("b", few)]).ranks
    assert all(math.isnan(item.low) for item in ranks)


def test_neighbouring_values_are_tested_paired_by_image_and_corrected_over_all_tests():
    scores = {"50": 0.4 + WOBBLE[0], "200": 0.45 + 2 * WOBBLE[1], "400": 0.45 + 2 * WOBBLE[2]}
    accuracies = [accuracy("samples=800", 0.5 + WOBBLE[3]), accuracy("samples=50", 0.5 + WOBBLE[4])]
    tests = found(rows(scores), accuracies=accuracies).tests
    assert [(test.kind, test.first, test.second) for test in tests] == [
        ("similarity", "samples=50", "samples=200"),
        ("similarity", "samples=200", "samples=400"),
        ("accuracy", "samples=50", "samples=800"),
    ]
    assert tests[0].p == pytest.approx(stats.wilcoxon(scores["50"] - scores["200"]).pvalue)
    assert tests[0].corrected == pytest.approx(3 * tests[0].p)
    assert tests[0].difference.mean == pytest.approx((scores["50"] - scores["200"]).mean())
    assert tests[0].corrected < 0.05 < tests[1].corrected
    assert tests[2].corrected > 0.05


def test_neighbours_of_the_ranking_are_tested():
    items = [sensitivity(name, level + WOBBLE[0]) for name, level in (("a", 0.1), ("b", 0.8), ("c", 0.4))]
    tests = found(sensitivities=items).tests
    names = [(test.first, test.second) for test in tests]
    assert names == [("b of smoothgrad", "c of smoothgrad"), ("c of smoothgrad", "a of smoothgrad")]


def test_metrics_that_order_alike_agree_and_those_that_order_the_other_way_round_do_not():
    levels = {"50": 0.2, "100": 0.4, "200": 0.6, "400": 0.8}
    turned = {value: 1 - level for value, level in levels.items()}
    both = rows(levels) + rows(levels, metric="hog") + rows(turned, metric="spearman")
    agreements = {(item.first, item.second): item for item in found(both).agreements}
    assert agreements["ssim", "hog"].tau.mean == 1
    assert agreements["ssim", "spearman"].tau.mean == -1
    assert agreements["ssim", "hog"].pairs == 4
    assert {item.experiment for item in agreements.values()} == {0}


def test_agreement_over_all_experiments_is_given_beside_each():
    levels = {"50": 0.2, "100": 0.4, "200": 0.6}
    both = [
        row for metric in ("ssim", "hog") for number in (0, 1) for row in rows(levels, metric=metric, experiment=number)
    ]
    agreements = found(both, experiments=[experiment(), replace(experiment(), index=1)]).agreements
    assert [(item.experiment, item.pairs) for item in agreements] == [(0, 3), (None, 6), (1, 3)]


def test_the_count_at_which_a_map_stops_moving_is_found():
    (advice,) = found(rows({"50": 0.5, "200": 0.95 + WOBBLE[0], "400": 0.97 + WOBBLE[1]})).advice
    assert (advice.kind, advice.values, advice.ends) == ("steady", ("200", "400", "800"), "largest")
    assert advice.moved == pytest.approx(1 - (0.95 + WOBBLE[0]).mean())
    assert advice.certainty == 1
    assert advice.count == len(IMAGES)


def test_a_value_beyond_one_that_moves_the_map_is_not_steady():
    (advice,) = found(rows({"50": 0.99, "200": 0.5, "400": 0.97})).advice
    assert advice.values == ("400", "800")


def test_the_metric_by_which_the_map_moves_most_decides():
    (advice,) = found(rows({"400": 0.99}) + rows({"400": 0.6}, metric="hog")).advice
    assert (advice.kind, advice.moved) == ("moving", pytest.approx(0.4))


def test_certainty_falls_where_the_mean_is_near_the_tolerance():
    (advice,) = found(rows({"400": 0.902 + 5 * WOBBLE[0] - 5 * WOBBLE[0].mean()})).advice
    assert advice.kind == "steady"
    assert 0.5 < advice.certainty < 0.75


def test_of_all_pairs_those_with_the_largest_value_tell_where_the_map_stops():
    pairs = {"50 vs 200": 0.99, "50 vs 800": 0.4, "200 vs 800": 0.96}
    (advice,) = found(
        rows(pairs, along="pairs of settings", reference="each other"), experiments=[experiment("50")]
    ).advice
    assert (advice.kind, advice.reference, advice.values) == ("steady", "800", ("200", "800"))


def test_values_that_are_no_numbers_have_no_order():
    scores = rows({"black": 0.95, "blur": 0.3})
    (advice,) = found(scores, experiments=[experiment("mean", ("mean", "black", "blur"))]).advice
    assert (advice.kind, advice.values, advice.ends) == ("steady", ("mean", "black"), "")


def test_reruns_that_move_the_map_are_told():
    place = {key: value for key, value in vars(rows({})[0]).items() if key not in ("role", "image", "score")}
    reruns = [Row(**place, role="rerun", image=image, score=0.6) for image in IMAGES for _ in range(2)]
    kinds = {item.kind: item for item in found(rows({"400": 0.95}) + reruns).advice}
    assert kinds["reruns"].moved == pytest.approx(0.4)
    assert kinds["reruns"].certainty == 1
    assert kinds["steady"].reruns == kinds["reruns"].moved


def test_nothing_follows_from_nothing():
    assert found() == Findings()
