from __future__ import annotations

import json

import numpy as np
import pytest
from rich.console import Console

from sam_toolkit.bench.compare import changes, comparison, interval, judge
from sam_toolkit.bench.records import CaseResult, Report, Row, Work, load, save
from sam_toolkit.errors import BenchError, SamError


def row(samples, name="ours", units=1):
    return Row(contestant=name, work=Work(units=units), calls=1, samples=tuple(samples))


def report(*rows, processor="one", case="case"):
    found = CaseResult(name=case, unit="pair", rows=rows)
    return Report(machine={"processor": processor}, versions={}, settings={}, cases=(found,))


def noisy(median, spread, count=9):
    return median * (1 + spread * np.linspace(-1, 1, count))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.99, 1.01, "same"),
        (0.95, 1.05, "same"),
        (0.5, 0.94, "faster"),
        (1.06, 9.0, "slower"),
        (0.9, 0.99, "unclear"),
        (1.01, 1.2, "unclear"),
        (0.5, 2.0, "unclear"),
    ],
)
def test_an_interval_is_judged_by_what_it_holds(low, high, verdict):
    assert judge(low, high, 0.05) == verdict


@pytest.mark.parametrize(
    ("samples", "verdict"),
    [
        (noisy(1.0, 0.01), "same"),
        (noisy(0.8, 0.01), "faster"),
        (noisy(1.2, 0.01), "slower"),
        (noisy(1.05, 0.5), "unclear"),
        (noisy(0.5, 0.0, count=4), "unclear"),
    ],
)
def test_samples_are_judged_by_their_interval_and_few_of_them_not_at_all(samples, verdict):
    old, new = report(row(noisy(1.0, 0.01))), report(row(samples))
    assert [one.verdict for one in changes(old, new, 0.05)] == [verdict]


def test_times_are_compared_unit_by_unit():
    [change] = changes(report(row([1.0] * 5)), report(row([2.0] * 5, units=4)), 0.05)
    assert (change.old, change.new, change.low, change.high, change.verdict) == (1.0, 0.5, 0.5, 0.5, "faster")


def test_the_interval_holds_the_true_ratio_about_as_often_as_it_says():
    draws = np.random.default_rng(1)
    inside = 0
    for _ in range(100):
        old, new = (row(draws.lognormal(mean, 0.1, 15)) for mean in (0.0, np.log(1.3)))
        low, high = interval(old, new)
        inside += low <= 1.3 <= high
    assert 88 <= inside <= 100


def test_the_same_files_give_the_same_interval():
    old, new = row(noisy(1.0, 0.1)), row(noisy(1.1, 0.1))
    assert interval(old, new) == interval(old, new)


def test_the_table_names_rows_of_one_file_and_what_else_is_not_the_same():
    old = report(row([1.0] * 5), row([1.0] * 5, "left"))
    new = report(row([2.0] * 5), row([1.0] * 5, "came"), processor="two")
    console = Console(width=120)
    with console.capture() as captured:
        console.print(comparison(old, new, 0.05))
    text = captured.get()
    assert "Not the same: processor: one -> two" in text
    assert "Only the old file has case: left" in text
    assert "Only the new file has case: came" in text
    assert "+100.0%" in text
    assert "slower" in text


@pytest.mark.parametrize(
    ("name", "time", "said"),
    [("piq", 2.0, True), ("piq", 1.0, False), ("sam_toolkit, 10 maps", 2.0, False)],
)
def test_a_change_of_peers_is_put_down_to_the_machine(name, time, said):
    console = Console(width=120)
    with console.capture() as captured:
        console.print(comparison(report(row([1.0] * 5, name)), report(row([time] * 5, name)), 0.05))
    assert ("1 row of peers changed too" in captured.get()) == said


def test_a_file_holds_every_sample(tmp_path):
    saved = report(row([1.5, 2.5], units=3))
    save(saved, tmp_path / "file.json")
    assert load(tmp_path / "file.json") == saved


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BenchError, match=r"nowhere/file\.json cannot be written: No such file"):
        save(report(row([1.0])), tmp_path / "nowhere" / "file.json")


def broken(change):
    values = json.loads(report(row([1.0])).model_dump_json())
    change(values)
    return json.dumps(values).encode()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "Invalid JSON"),
        (b"\xff\xfe", "it is not text"),
        (b"[]", "should be an object|valid dictionary"),
        (b'{"a": 1}', "machine: Field required.*and 2 more"),
        (broken(lambda values: values.update(format="another 1")), "format: Input should be"),
        (broken(lambda values: values["cases"][0]["rows"][0].update(samples=[0])), r"samples\.0: .*greater than 0"),
        (broken(lambda values: values["cases"][0]["rows"][0].update(samples=[])), "samples: .*at least 1 item"),
        (broken(lambda values: values["cases"][0].update(rows=[])), r"cases\.0\.rows: "),
        (broken(lambda values: values["cases"][0]["rows"][0]["work"].update(units=0)), r"work\.units: "),
    ],
)
def test_a_file_that_is_no_benchmark_says_what_is_wrong_with_it(tmp_path, content, problem):
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(SamError, match=rf"(?s)file\.json is not a benchmark's file: .*({problem})"):
        load(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BenchError, match=r"none\.json cannot be read: No such file"):
        load(tmp_path / "none.json")
