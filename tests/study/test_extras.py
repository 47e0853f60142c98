"""What a metric says beside its scores reaches results, tables and the report, whatever it is."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest
import torch
from nets import colour_net
from study.small import images, small_run

from sam_toolkit import Gradient, LensRecall, smoothed
from sam_toolkit.reports.html import render
from sam_toolkit.reports.page import extras_text
from sam_toolkit.reports.tables import CsvReport
from sam_toolkit.study.saved import load, save

CHANGES = {
    "inputs": ["clean"],
    "seed": 0,
    "methods": [{"gradient": {"score": ["logit", "probability"], "channels": "abs-sum"}}],
    "compare": [
        {
            "along": "settings",
            "metrics": [{"lens-recall": {"k": [20, 100], "w": [0, 1], "diverse": True}}, "spearman",
                        {"lens-recall": {"k": 50, "smoothing": 1, "smoothing_padding": "zero"}}],
        }
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return small_run(tmp_path_factory.mktemp("extras"), CHANGES, targets=[1, 2, 0])


def gradients():
    return [
        Gradient(score=score, channels="abs-sum")(colour_net(), images(), [1, 2, 0])
        for score in ("logit", "probability")
    ]


def test_rows_have_the_extras_of_their_metric(results):
    scores = LensRecall(k=100, w=1, diverse=True).scores(*gradients())
    for n in range(3):
        row = next(
            row for row in results.rows if row.metric.startswith("lens-recall k=100 w=1") and row.role == "value"
            and row.image == f"image {n}"
        )  # fmt: skip
        assert row.score == pytest.approx(float(scores.values[n]))
        assert row.extras == pytest.approx({name: float(extra[n]) for name, extra in scores.extras.items()})


def test_smoothing_in_a_study_is_that_of_the_maps(results):
    a, b = (smoothed(maps, 1, "zero").float() for maps in gradients())
    found = [row.score for row in results.rows if "smoothing=1" in row.metric and row.role == "value"]
    assert found == pytest.approx(LensRecall(k=50)(a, b).tolist())


def test_values_have_their_means_over_images(results):
    for value in results.values:
        rows = [row for row in results.rows if row.metric == value.metric and row.role == "value"]
        assert set(value.extras) == set(rows[0].extras)
        for name, mean in value.extras.items():
            own = torch.tensor([row.extras[name] for row in rows], dtype=torch.float64)
            assert mean == pytest.approx(float(own.nanmean()), nan_ok=True)


def test_they_survive_saving_and_stand_in_the_tables(results, tmp_path):
    save(results, tmp_path)
    assert [row.extras for row in load(tmp_path).rows] == [row.extras for row in results.rows]
    CsvReport().write(results, tmp_path)
    with (tmp_path / "rows.csv").open(newline="", encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    for row, line in zip(results.rows, written, strict=True):
        pairs = dict(item.split("=") for item in line["extras"].split("; "))
        assert {name: float(text) for name, text in pairs.items()} == row.extras


def test_the_report_shows_what_is_new_and_draws_the_chance_level(results):
    value = next(value for value in results.values if value.metric.startswith("lens-recall k=100 w=1"))
    assert extras_text(value).startswith("chance 0.")
    assert " · found first " in extras_text(value)
    plain = next(value for value in results.values if value.metric == "spearman")
    assert extras_text(plain) == ""
    page = render(results)
    assert extras_text(value) in page
    without = replace(results, values=tuple(replace(value, extras={}) for value in results.values))
    assert page.count("chance") > render(without).count("chance")


def test_the_conventions_of_a_study_reach_methods_and_metrics(tmp_path):
    compare = [{"along": "settings", "metrics": [{"lens-recall": {"k": 30}}]}]
    methods = [{"gradient": {"score": ["logit", "probability"]}}]
    found = small_run(
        tmp_path, {**CHANGES, "compat": "lens-2024", "compare": compare, "methods": methods}, targets=[1, 2, 0]
    )
    assert "channels=abs-sum" in found.experiments[0].default
    rows = [row.score for row in found.rows if row.role == "value"]
    assert rows == pytest.approx(LensRecall(k=30, compat="lens-2024")(*gradients()).tolist())
