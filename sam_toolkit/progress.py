"""Shows how a run gets on: a bar with rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from sam_toolkit.study.plan import Plan
    from sam_toolkit.study.task import Outcome, Task

_EVERY = 15.0
"""Seconds between lines where there is no terminal."""


class ConsoleProgress:
    """Tells a console; `failed` counts the tasks that failed."""

    def __init__(self, console: Console) -> None:
        """Write to `console`."""
        self.failed = 0
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, rate="")
        self._total = self._done = 0
        self._under_way: dict[str, int] = {}
        self._started = self._told = time.monotonic()

    def __enter__(self) -> ConsoleProgress:
        """Start to draw."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""
        self._bar.stop()

    def stage(self, text: str) -> None:
        """Say what begins."""
        self._bar.update(self._task, description=text)
        if not self._console.is_terminal and time.monotonic() - self._told > _EVERY:
            self._line(text)

    def begin(self, tasks: Sequence[Task], plan: Plan) -> None:
        """Say what is left to compute, and what is there already."""
        self._total = sum(_weight(task) for task in tasks)
        self._started = self._told = time.monotonic()
        left = sum(len(task.images) * len(task.settings) for task in tasks)
        there = plan.maps - left
        known = f" ({there:,} of {plan.maps:,} are in the store already)" if there else ""
        rows = sum(task.rows for task in tasks)
        self._console.print(f"Computing {left:,} maps with {rows:,} network rows{known}.")
        self._bar.reset(self._task, total=self._total, description="Computing maps", rate="")

    def under_way(self, task: Task, rows: int) -> None:
        """Say how many network rows of a task are done."""
        self._under_way[task.id] = min(rows, _weight(task))
        self._show(task)

    def advance(self, outcome: Outcome) -> None:
        """Say that a task ended."""
        if outcome.status != "done":
            self.failed += 1
            self._console.print(f"Failed: {outcome.task.label}: {outcome.error}", style="red", markup=False)
        self._done += _weight(outcome.task)
        self._under_way.pop(outcome.task.id, None)
        self._show(outcome.task)

    def _show(self, task: Task) -> None:
        done = self._done + sum(self._under_way.values())
        seconds = time.monotonic() - self._started
        rate = f"{done / max(seconds, 1e-3):.0f} rows/s"
        self._bar.update(self._task, completed=done, rate=rate, description=task.label.split(",")[0])
        if not self._console.is_terminal and time.monotonic() - self._told > _EVERY:
            left = seconds * (self._total - done) / done
            self._line(f"{done / self._total:4.0%}  {rate}, about {timedelta(seconds=round(left))} left")

    def _line(self, text: str) -> None:
        self._told = time.monotonic()
        self._console.print(text, markup=False, highlight=False)


def _weight(task: Task) -> int:
    return max(task.rows, 1)
