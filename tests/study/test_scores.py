"""Scores as arrays: every row in its place, floors averaged, holes undefined."""

from __future__ import annotations

import numpy as np
from study.small import small_run

from sam_toolkit.study.results import Row
from sam_toolkit.study.scores import compared

PLACE = {"model": "net", "experiment": 0, "method": "lime", "along": "settings", "reference": "", "metric": "ssim"}


def row(image: str, score: float, role: str = "value", **what: str) -> Row:
    return Row(**PLACE, **{"factor": "", "value": "", **what}, image=image, role=role, score=score)


def test_scores_stand_by_value_and_image():
    rows = [
        row("a", 0.1, factor="samples", value="50"), row("b", 0.2, factor="samples", value="50"),
        row("b", 0.3, factor="samples", value="100"), row("a", 0.8, "rerun"), row("a", 0.6, "rerun"),
        row("b", 0.9, "rerun"), row("a", 0.0, "random"), row("b", 0.1, "random"),
    ]  # fmt: skip
    (item,) = compared(rows)
    assert item.images == ("a", "b")
    np.testing.assert_allclose(item.scores, [[0.1, 0.2], [np.nan, 0.3]])
    np.testing.assert_allclose(item.floor, [0.7, 0.9])
    np.testing.assert_allclose(item.random, [0.0, 0.1])
    assert not item.deterministic
    assert item.factors == ["samples"]


def test_without_reruns_the_floor_is_1():
    (item,) = compared([row("a", 0.1, factor="samples", value="50")])
    assert item.deterministic
    assert item.floor.tolist() == [1]
    assert np.isnan(item.random).all()


def test_pairs_with_the_largest_value_are_found():
    names = ("50 vs 100", "50 vs 800", "800 vs 100")
    (item,) = compared([row("a", 0.1 * place, factor="samples", value=name) for place, name in enumerate(names)])
    found = item.with_largest("samples")
    assert found is not None
    largest, others = found
    assert largest == "800"
    assert {value: scores.tolist() for value, scores in others.of("samples").items()} == {"50": [0.1], "100": [0.2]}
    (words,) = compared([row("a", 0.1, factor="fill", value="black vs blur")])
    assert words.with_largest("fill") is None


def test_a_study_has_the_keys_of_its_maps_and_the_same_in_its_accuracies(tmp_path):
    found = small_run(tmp_path, {"accuracy": [{"deletion": {"steps": 4}}]})
    scored = {key for item in found.accuracies for key in item.maps.values()}
    own = [each for each in found.rows if each.along == "settings"]
    assert {each.reference_map for each in own} | {each.map for each in own if each.role == "value"} <= scored
    assert all(not each.map for each in own if each.role == "random")
    assert all(len(set(strip.keys)) == len(strip.labels) for strip in found.strips)
    assert {key for strip in found.strips for key in strip.keys if strip.along == "settings"} <= scored
