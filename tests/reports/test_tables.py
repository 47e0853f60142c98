"""The CSV tables hold every number, and read back as they were."""

from __future__ import annotations

import csv
import math
from dataclasses import replace

from reports.factory import renamed, results

from sam_toolkit.reports import CsvReport
from sam_toolkit.study.findings import Interval
from sam_toolkit.study.results import InputSummary


def read(path):
    """Return a table's lines by column."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_score_reads_back_exactly(tmp_path):
    found = results(undefined=frozenset({3}))
    CsvReport().write(found, tmp_path)
    lines = read(tmp_path / "rows.csv")
    assert len(lines) == len(found.rows)
    for line, row in zip(lines, found.rows, strict=True):
        assert line["score"] == "" if math.isnan(row.score) else float(line["score"]) == row.score
        assert (line["model"], line["experiment"], line["value"], line["role"]) == (
            row.model,
            str(row.experiment),
            row.value,
            row.role,
        )


def test_intervals_have_a_column_for_each_part(tmp_path):
    found = results()
    CsvReport().write(found, tmp_path)
    line, item = read(tmp_path / "sensitivity.csv")[0], found.sensitivities[0]
    for name in ("index", "similarity", "floor", "random"):
        interval = getattr(item, name)
        assert [float(line[name]), float(line[f"{name}_low"]), float(line[f"{name}_high"])] == [
            interval.mean,
            interval.low,
            interval.high,
        ]
        assert (line[f"{name}_count"], line[f"{name}_how"]) == (str(interval.count), interval.how)
    assert line["values"] == "abs-mean; abs-max"
    assert line["deterministic"] == "true"
    assert len(read(tmp_path / "values.csv")) == len(found.values)


def test_columns_are_documented(tmp_path):
    for name in [path.stem for path in CsvReport().write(results(derived=True), tmp_path)]:
        for column in read(tmp_path / f"{name}.csv")[0]:
            assert (
                column.removesuffix("_undefined").rsplit("_", 1)[0] in CsvReport.__doc__ or column in CsvReport.__doc__
            )


def test_what_perturbations_say_reads_back(tmp_path):
    told = InputSummary(
        "resnet50", "attack eps=8/255", "succeeded", Interval(0.75, 0.5, 1, 4, 0, "by hand"), {"photo 0": 1.0}
    )
    CsvReport().write(replace(results(), inputs=(told,)), tmp_path)
    (line,) = read(tmp_path / "inputs.csv")
    assert (line["model"], line["input"], line["says"]) == ("resnet50", "attack eps=8/255", "succeeded")
    assert [float(line[name]) for name in ("value", "value_low", "value_high", "value_count")] == [0.75, 0.5, 1, 4]


def test_accuracies_are_written_only_if_there_are_any(tmp_path):
    found = results()
    always = ["rows.csv", "sensitivity.csv", "values.csv"]
    names = [path.name for path in CsvReport().write(found, tmp_path)]
    assert names == [*always, "accuracy.csv", "accuracy-rows.csv"]
    CsvReport().write(replace(found, accuracies=()), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(always)


def test_what_follows_from_the_scores_reads_back(tmp_path):
    found = results(derived=True)
    CsvReport().write(found, tmp_path)
    for name, items in (
        ("ranks", found.findings.ranks),
        ("tests", found.findings.tests),
        ("agreement", found.findings.agreements),
        ("advice", found.findings.advice),
    ):
        assert len(read(tmp_path / f"{name}.csv")) == len(items)
    line, item = read(tmp_path / "tests.csv")[0], found.findings.tests[0]
    assert (float(line["p"]), float(line["corrected"]), float(line["difference"])) == (
        item.p,
        item.corrected,
        item.difference.mean,
    )
    assert {line["experiment"] for line in read(tmp_path / "agreement.csv")} == {"", "0", "1", "2"}


def test_each_score_has_the_keys_of_its_maps(tmp_path):
    found = results()
    CsvReport().write(found, tmp_path)
    scored = {line["map"] for line in read(tmp_path / "accuracy-rows.csv")}
    compared = [line for line in read(tmp_path / "rows.csv") if line["role"] == "value" and line["along"] == "settings"]
    assert {line["map"] for line in compared} | {line["reference_map"] for line in compared} == scored


def test_names_with_commas_quotes_and_line_breaks_survive(tmp_path):
    found = renamed(results(images=1), ', "quoted"\nnext line é')
    CsvReport().write(found, tmp_path)
    assert read(tmp_path / "rows.csv")[0]["image"] == found.rows[0].image
