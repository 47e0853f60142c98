"""Carries out tasks one after another in this process."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import partial

from sam_toolkit.study.task import Hear, MakeWorker, Outcome, Task, Tell, Worker


class InlineExecutor:
    """Runs every task in this process, with all its threads or its GPU; the default, and best to debug."""

    def run(self, tasks: Iterable[Task], make_worker: MakeWorker, hear: Hear) -> Iterator[Outcome]:
        """Yield the outcome of each task in turn; what `make_worker` raises is passed on."""
        worker = make_worker()
        for task in tasks:
            yield guarded(worker, task, partial(hear, task))

    def close(self) -> None:
        """Do nothing: there is no process to stop."""


def guarded(worker: Worker, task: Task, tell: Tell) -> Outcome:
    """Return the outcome of a task, `failed` even where its worker breaks the promise not to raise."""
    started = time.perf_counter()
    try:
        return worker.run(task, tell)
    except Exception as error:  # noqa: BLE001 - one task must not end the others
        return Outcome(task, "failed", error=told(error), seconds=time.perf_counter() - started)


def told(error: Exception) -> str:
    """Return an error as one text with its type."""
    return f"{type(error).__name__}: {error}"
