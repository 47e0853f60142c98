"""What a run says while it computes, where there is no terminal."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from sam_toolkit import progress
from sam_toolkit.study.task import Outcome, Task
from sam_toolkit.types import Params


def _task(name: str, rows: int) -> Task:
    return Task(name, 0, 0, 0, (0,), (Params(),), ((name,),), rows, f"{name}, 1 setting")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what was said of two tasks of 300 and 100 rows, in turns of ten seconds."""
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(progress, "_EVERY", 1.0)
    console = Console(file=io.StringIO(), width=200)
    one, two = _task("one", 300), _task("two", 100)
    shown = progress.ConsoleProgress(console)
    with shown:
        shown.begin([one, two], SimpleNamespace(maps=2))
        shown.under_way(one, 100)
        shown.under_way(two, 50)
        shown.under_way(one, 450)  # a method that declares too few rows
        shown.advance(Outcome(one, "done"))
        shown.advance(Outcome(two, "failed", error="out of memory"))
    assert shown.failed == 1
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_rows_of_tasks_under_way_and_ended_add_up_once(lines: list[str]) -> None:
    assert [line.split()[0] for line in lines if "rows/s" in line] == ["25%", "38%", "88%", "88%", "100%"]


def test_failures_are_told_as_they_happen(lines: list[str]) -> None:
    assert "Failed: two, 1 setting: out of memory" in lines
    assert lines[0] == "Computing 2 maps with 400 network rows."
