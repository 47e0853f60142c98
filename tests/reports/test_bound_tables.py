"""Bounds on the page and as a table: never without what they assume."""

import csv
import math
from dataclasses import replace

from reports.factory import results

from sam_toolkit.bounding import Bound, Chain
from sam_toolkit.reports import CsvReport, HtmlReport
from sam_toolkit.reports.bounds import bound_tables, magnitude
from sam_toolkit.study.results import BoundedChange

ALIKE, GIVEN = "one linear map", "a <constant> that was given"


def chain(measured=0.1, last=math.inf):
    bounds = (
        Bound("of each value", 0.2, "ours", (ALIKE,)),
        Bound("of the largest", 0.4, "the paper's", (ALIKE,)),
        Bound("by theory", last, "the paper's", (ALIKE, GIVEN), certified=False),
    )
    return Chain("shapley of 5 parts", measured, 0.03, bounds, (Bound("beside", 0.3, "ours", (ALIKE,)),))


def changes(**fields):
    place = {"model": "resnet50", "experiment": 1, "method": "removal", "along": "inputs", "factor": "noise"}
    kept = {**place, "value": "sigma=0.1", "reference": "clean", "image": "photo 0", "chain": chain(), **fields}
    return tuple(BoundedChange(**{**kept, "image": image}) for image in ("photo 0", "photo 1"))


def page(tmp_path, found):
    (path,) = HtmlReport().write(replace(results(images=2), bounds=found), tmp_path)
    return path.read_text(encoding="utf-8")


def test_means_over_images_stand_in_a_line_and_each_pair_below():
    one, other = changes()
    (table,) = bound_tables([one, replace(other, chain=chain(measured=0.2))])
    (line,) = table.lines
    assert (line.image, round(line.measured, 9), line.floor) == ("2 images", 0.15, 0.03)
    assert [cell.value for cell in line.cells] == [0.2, 0.4, math.inf, 0.3]
    assert [round(cell.tightness, 6) for cell in line.cells] == [0.75, 0.375, 0, 0.5]
    assert [pair.image for pair in table.pairs] == ["photo 0", "photo 1"]
    assert [column.notes for column in table.columns] == [(1,), (1,), (1, 2), (1,)]
    assert [column.beside for column in table.columns] == [False, False, False, True]


def test_the_page_has_every_assumption_and_says_what_is_no_certificate(tmp_path):
    text = page(tmp_path, changes())
    assert "Bounds on how far the attribution can move" in text
    assert ALIKE in text
    assert "a &lt;constant&gt; that was given" in text
    assert "an estimate, no certificate" in text
    assert "∞" in text
    assert "is exceeded" not in text
    assert "Bounds on how far" not in page(tmp_path, ())


def test_a_certified_bound_that_is_exceeded_is_an_alarm(tmp_path):
    text = page(tmp_path, changes(chain=chain(measured=0.35)))
    assert "A certified bound is exceeded" in text
    assert "photo 1: of each value is 0.2, the attribution moved by 0.35." in text


def test_many_pairs_are_left_to_the_table_of_all(tmp_path):
    (table,) = bound_tables(changes() * 101)
    assert (len(table.pairs), table.count) == (0, 202)
    assert "202 pairs of maps are in <code>bounds.csv</code>" in page(tmp_path, changes() * 101)


def test_bounds_csv_has_a_line_a_bound_with_its_assumptions(tmp_path):
    CsvReport().write(replace(results(images=2), bounds=changes()), tmp_path)
    with (tmp_path / "bounds.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["step"] for line in lines] == ["1", "2", "3", "0"] * 2
    assert [line["assumptions"] for line in lines[:3]] == [ALIKE, ALIKE, f"{ALIKE}; {GIVEN}"]
    assert (lines[0]["measured"], lines[0]["at_most"], lines[0]["tightness"]) == ("0.1", "0.2", "0.5")
    CsvReport().write(results(images=2), tmp_path)
    assert not (tmp_path / "bounds.csv").exists()


def test_magnitudes_have_three_digits():
    assert [magnitude(value) for value in (0.012345, 6.2e38, math.inf, math.nan)] == ["0.0123", "6.2e+38", "∞", "–"]
