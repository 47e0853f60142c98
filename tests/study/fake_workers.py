"""Workers that do, fail, kill their process or hang, as the label of a task says."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from sam_toolkit.errors import SamError
from sam_toolkit.study.task import Outcome, Task, Tell


def task(number: int, label: str = "do") -> Task:
    """Return a task that is told from others by its id."""
    return Task(f"{number:04d}", 0, 0, 0, (), (), ((f"key {number}",),), 1, label)


def ignore(task: Task, rows: int) -> None:
    """Hear how a task gets on, and do nothing."""


@dataclass
class FakeWorker:
    """Does what a task's label says; each attempt at a task leaves a file in `folder`."""

    folder: Path

    def run(self, task: Task, tell: Tell) -> Outcome:
        """Return a `done` outcome that names this process and its threads, where the label lets it."""
        attempts = len(list(self.folder.glob(f"{task.id}.*")))
        (self.folder / f"{task.id}.{attempts}").write_text(str(os.getpid()))
        if task.label == "raise":
            raise ValueError("the method failed")
        if task.label == "kill" or (task.label == "kill once" and attempts == 0):
            os.kill(os.getpid(), signal.SIGKILL)
        if task.label == "exit":
            os._exit(3)
        if task.label == "hang":
            time.sleep(600)
        if task.label == "tell":
            for rows in (1, 2, 3):
                time.sleep(0.3)  # a word is due every half second
                tell(rows)
        return Outcome(task, "done", error=f"{os.getpid()} {torch.get_num_threads()}")


@dataclass(frozen=True)
class MakeFake:
    """Makes a fake worker."""

    folder: Path

    def __call__(self) -> FakeWorker:
        """Return the worker."""
        return FakeWorker(self.folder)


@dataclass(frozen=True)
class CannotMake:
    """Makes no worker: raises, or ends its process."""

    folder: Path
    how: str

    def __call__(self) -> FakeWorker:
        """Leave a file in `folder` and do as `how` says."""
        (self.folder / f"start.{os.getpid()}").touch()
        if self.how == "exit":
            os._exit(3)
        raise SamError("no such model") if self.how == "refuse" else ValueError("no such file")
