"""Accuracies of a study: all maps of an image in one call, each score computed once, every network row counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from nets import colour_net
from study.small import STUDY, images, small_run

from sam_toolkit import Deletion, Gradient, run
from sam_toolkit.api import photos_of
from sam_toolkit.model import Model
from sam_toolkit.registry import default_registry
from sam_toolkit.study.estimate import Forgetful, estimate
from sam_toolkit.study.plan import Plan, make_plan
from sam_toolkit.study.prepare import prepare
from sam_toolkit.study.resolve import load_study

CURVES: dict[str, Any] = {
    "accuracy": [{"deletion": {"steps": [4, 8]}}, "pointing-game", {"deletion": {"steps": 8, "fill": "black"}}]
}
MAPS = 1 + 4 + 3
"""Of the small study: one gradient, four of SmoothGrad, three of the sliding patch."""


def planned(**changes: Any) -> Plan:
    study = load_study(
        {**STUDY, **changes}, default_registry(False), models={"net": colour_net()}, photos=photos_of(images())
    )
    return make_plan(study, prepare(study, "cpu", Forgetful()))


def forward_calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return a list that gets (settings, maps) of every call of deletion."""
    calls: list[tuple[int, int]] = []
    score = Deletion.score

    def watched(self, model, batch, maps, settings, rng):
        calls.append((len(settings), len(maps)))
        return score(self, model, batch, maps, settings, rng)

    monkeypatch.setattr(Deletion, "score", watched)
    return calls


def test_the_maps_of_all_experiments_are_scored_in_one_call_an_image(tmp_path, monkeypatch):
    calls = forward_calls(monkeypatch)
    small_run(tmp_path, CURVES)
    assert calls == [(3, MAPS)] * 3


def test_the_plan_has_the_rows_that_are_counted(tmp_path):
    plan = planned(**CURVES)
    inner = 7 + 7  # of eight steps with either fill; those of four are among them
    assert [(scoring.metric.name, scoring.maps, scoring.rows) for scoring in plan.scorings] == [
        ("deletion", MAPS, 3 + MAPS * inner),
        ("pointing-game", MAPS, 0),
    ]
    assert plan.scoring_rows == 3 * plan.scorings[0].rows
    assert plan.scoring_rows_alone == 3 * MAPS * (5 + 9 + 9)
    found = small_run(tmp_path, CURVES)
    assert found.cost["network rows of accuracies"] == f"{plan.scoring_rows:,}"


def test_an_estimate_has_them_too():
    study = load_study(
        {**STUDY, **CURVES}, default_registry(False), models={"net": colour_net()}, photos=photos_of(images())
    )
    found, plan = estimate(study, "cpu"), planned(**CURVES)
    assert found.rows == plan.rows + plan.scoring_rows
    assert found.rows_alone == plan.rows_alone + plan.scoring_rows_alone
    [line] = [line for line in found.groups if line.method == f"deletion of {MAPS} maps"]
    assert line.settings == tuple(
        f"deletion steps={steps} fill={fill}" for steps, fill in ((4, "mean"), (8, "mean"), (8, "black"))
    )
    assert sum(line.rows for line in found.groups) * plan.images == found.rows


def test_without_accuracies_that_ask_the_network_nothing_is_said_of_their_rows(tmp_path):
    assert planned().scorings == ()
    assert not any("accuracies" in name for name in small_run(tmp_path, {"accuracy": ["pointing-game"]}).cost)


def test_a_second_run_scores_nothing_and_a_longer_study_the_new_maps_alone(tmp_path, monkeypatch):
    first = small_run(tmp_path, CURVES)
    calls = forward_calls(monkeypatch)
    second = small_run(tmp_path, CURVES)
    assert calls == []
    assert (second.accuracies, second.cost) == (first.accuracies, first.cost)
    small_run(tmp_path, {**CURVES, "methods": [*STUDY["methods"], "input-x-gradient"]})
    assert calls == [(3, 1)] * 3


def test_scores_do_not_depend_on_what_else_is_scored(tmp_path):
    whole = {
        (item.method, item.setting, item.metric): item.score.mean
        for item in small_run(tmp_path / "all", CURVES).accuracies
    }
    changes = {"methods": ["gradient"], "accuracy": [{"deletion": {"steps": 4}}]}
    [alone] = small_run(tmp_path / "one", changes).accuracies
    assert alone.score.mean == pytest.approx(whole[alone.method, alone.setting, alone.metric], rel=1e-5)


def test_a_study_has_the_scores_of_a_call_by_hand(tmp_path: Path) -> None:
    net = colour_net()
    targets = [1, 2, 3]
    study = {"models": ["net"], "methods": ["gradient"], "accuracy": [{"deletion": {"steps": 5, "fill": "black"}}]}
    found = run(study, tmp_path, models={"net": net}, images=images(), targets=targets)
    maps = Gradient()(net, images(), targets)
    scores = Deletion(steps=5, fill="black")(maps, images(), Model(net), targets)
    assert found.accuracies[0].score.mean == pytest.approx(float(scores.mean()), rel=1e-5)
    assert not torch.equal(scores[0], scores[1])
