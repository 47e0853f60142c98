"""The unit of work that an executor carries, and what comes back; no tensor crosses that interface."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from sam_toolkit.model import Rows
from sam_toolkit.types import Params


@dataclass(frozen=True)
class Task:
    """A group of settings of one method, for one model, one input variant and some images.

    Attributes:
        id: digest of its keys; the name of its file.
        model: index into the study's models.
        method: index into the study's methods (any entry of that method).
        input: index into the study's inputs.
        images: indices of photographs.
        settings: the group, S settings that one call of the method takes.
        keys: `[S][N]` the key of each map.
        rows: network rows that the method declares for the task.
        label: what progress and errors call it ("smoothgrad, 7 settings, efficientnet-lite0, coffee").
    """

    id: str
    model: int
    method: int
    input: int
    images: tuple[int, ...]
    settings: tuple[Params, ...]
    keys: tuple[tuple[str, ...], ...]
    rows: int
    label: str


@dataclass(frozen=True)
class MapFile:
    """A file of maps: its name below the store's folder, a checksum of all that it holds, its bytes, its keys."""

    path: str
    checksum: str
    size: int
    keys: tuple[str, ...]


NO_ROWS = Rows()


@dataclass(frozen=True)
class Outcome:
    """What became of a task: `done` with a file, `failed` with the error's text, or `lost` with its worker."""

    task: Task
    status: Literal["done", "failed", "lost"]
    file: MapFile | None = None
    error: str = ""
    rows: Rows = NO_ROWS
    seconds: float = 0.0
    attempt: int = 1


Tell = Callable[[int], None]
"""Is told how many network rows of a task are done so far."""

Hear = Callable[[Task, int], None]
"""Is told how many network rows of which task are done so far."""


class Worker(Protocol):
    """Carries out tasks in one process; keeps models and photographs between them."""

    def run(self, task: Task, tell: Tell) -> Outcome:
        """Return the outcome; never raises but for KeyboardInterrupt and the like."""
        ...


MakeWorker = Callable[[], Worker]
"""Makes a worker in the process that will use it; picklable where workers are processes."""


class Executor(Protocol):
    """Carries tasks to workers."""

    def run(self, tasks: Iterable[Task], make_worker: MakeWorker, hear: Hear) -> Iterator[Outcome]:
        """Yield an outcome for each task, in any order, lazily, with a bounded number in flight."""
        ...

    def close(self) -> None:
        """Stop the workers."""
        ...
