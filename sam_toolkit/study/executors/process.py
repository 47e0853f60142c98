"""Carries tasks to processes and outlives them all: a crash or a hang costs one attempt at one task."""

from __future__ import annotations

import math
import os
import pickle
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from multiprocessing import connection, get_context, resource_tracker
from multiprocessing.process import BaseProcess

from sam_toolkit.errors import SamError
from sam_toolkit.study.executors.serve import Started, Underway, serve
from sam_toolkit.study.task import Hear, MakeWorker, Outcome, Task

_CONTEXT = get_context("spawn")  # a process that has used a GPU or threads cannot be forked
_GRACE = 5.0
"""Seconds for a process that closed its pipe to end, so that its exit code is its own."""


class ProcessExecutor:
    """Runs tasks in processes, one at a time in each, so that a lost process is blamed on one task."""

    def __init__(self, workers: int, seconds_per_task: float | None = None, attempts: int = 3) -> None:
        """Use `workers` processes; one whose task runs longer than `seconds_per_task` is ended."""
        if workers < 1 or attempts < 1 or (seconds_per_task is not None and seconds_per_task <= 0):
            raise SamError(
                "A process executor needs 1 or more workers and attempts, and a positive time limit or none; "
                f"got {workers}, {attempts} and {seconds_per_task}."
            )
        self._workers = workers
        self._limit = math.inf if seconds_per_task is None else seconds_per_task
        self._attempts = attempts
        self._processes: list[_Process] = []
        self._false_starts = 0

    def run(self, tasks: Iterable[Task], make_worker: MakeWorker, hear: Hear) -> Iterator[Outcome]:
        """Yield the outcome of each task as it ends, `lost` where it lost its process at every attempt.

        Raises SamError where a worker cannot be sent to a process or cannot start there.
        """
        start = partial(_start, _pickled(make_worker, "The work"), max(1, _cores() // self._workers))
        queue = _Queue(tasks)
        self._false_starts = 0
        try:
            while self._employ(queue, start):
                outcomes = list(self._listen(queue, hear))
                self._employ(queue, start)  # no process idles while the caller looks at outcomes
                yield from outcomes
        finally:
            self.close()

    def close(self) -> None:
        """End the processes: what they write is whole or not there. Closing twice does no harm.

        Those without a task end by themselves, and so leave nothing behind of what libraries keep for them.
        """
        idle = [process for process in self._processes if process.ready and process.task is None]
        for process in idle:
            process.pipe.close()
        while self._processes:
            process = self._processes.pop()
            process.end(_GRACE if process in idle else 0.0)

    def _employ(self, queue: _Queue, start: Callable[[], _Process]) -> bool:
        """Start the processes that tasks wait for, give tasks to idle ones, return whether work is left."""
        free = [process for process in self._processes if process.task is None]
        wanted = queue.waiting(self._workers) - len(free)
        for _ in range(min(wanted, self._workers - len(self._processes))):
            self._processes.append(start())
        for process in free:
            if process.ready and queue.waiting(1):
                process.give(*queue.take(), self._limit)
        return queue.waiting(1) > 0 or any(process.task for process in self._processes)

    def _listen(self, queue: _Queue, hear: Hear) -> Iterator[Outcome]:
        """Wait until a process answers, ends or overruns its time; yield what that settles."""
        left = min(process.deadline for process in self._processes) - time.monotonic()
        pipes = [process.pipe for process in self._processes]
        heard = connection.wait(pipes, None if left == math.inf else max(0.0, left))
        for process in [process for process in self._processes if process.pipe in heard]:
            try:
                message = process.pipe.recv()
            except (EOFError, OSError):
                yield from self._bury(process, queue, process.end(_GRACE))
            else:
                yield from self._settled(process, message, hear)
        for process in list(self._processes):
            if process.deadline <= time.monotonic():
                process.end()
                yield from self._bury(process, queue, f"it ran longer than its limit of {self._limit:g} s")

    def _settled(self, process: _Process, message: Started | Underway | Outcome, hear: Hear) -> Iterator[Outcome]:
        if isinstance(message, Outcome):
            yield process.take_back(message)
        elif isinstance(message, Underway):
            assert process.task is not None
            hear(process.task, message.rows)
        elif message.error:
            raise SamError(f"A worker process cannot start: {message.error}")
        else:
            process.ready = True
            self._false_starts = 0

    def _bury(self, process: _Process, queue: _Queue, cause: str) -> Iterator[Outcome]:
        """Forget a process that has ended; its task is tried again, or `lost` after all its attempts."""
        self._processes.remove(process)
        if not process.ready:
            self._false_starts += 1
            if self._false_starts == self._attempts:
                raise SamError(
                    f"{self._attempts} worker processes in a row did not start: {cause}. A script that runs "
                    'a study with workers must do so below `if __name__ == "__main__":`: they import it.'
                )
        elif process.task and process.attempt < self._attempts:
            queue.again.append((process.task, process.attempt + 1))
        elif process.task:
            error = f"Given up at attempt {process.attempt}: {cause}."
            yield Outcome(process.task, "lost", error=error, attempt=process.attempt)


@dataclass(eq=False)
class _Process:
    """A worker process, the driver's end of its pipe, and the task it is at."""

    process: BaseProcess
    pipe: connection.Connection
    ready: bool = False
    task: Task | None = None
    attempt: int = 0
    deadline: float = math.inf

    def give(self, task: Task, attempt: int, limit: float) -> None:
        """Send a task, to be done within `limit` seconds."""
        data = _pickled(task, f"Task {task.label!r}")
        self.task, self.attempt, self.deadline = task, attempt, time.monotonic() + limit
        with suppress(ConnectionError):  # the process has just ended: seen when its pipe is read
            self.pipe.send_bytes(data)

    def take_back(self, outcome: Outcome) -> Outcome:
        """Return the outcome of the task, which leaves this process idle."""
        assert self.task is not None
        settled = replace(outcome, task=self.task, attempt=self.attempt)
        self.task, self.deadline = None, math.inf
        return settled

    def end(self, grace: float = 0.0) -> str:
        """End the process, after `grace` seconds to end by itself, and return how it ended."""
        self.process.join(grace)
        self.process.kill()
        self.process.join()
        self.pipe.close()
        code = self.process.exitcode or 0
        self.process.close()
        if code >= 0:
            return f"its process ended with exit code {code}"
        hint = "; too little memory is a common reason: use fewer workers" if code == -signal.SIGKILL else ""
        return f"its process ended by signal {-code} ({signal.strsignal(-code)}{hint})"


class _Queue:
    """Tasks that wait: new ones, fetched as they are needed, and after them those to try again."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self.again: deque[tuple[Task, int]] = deque()
        self._source = iter(tasks)
        self._new: deque[Task] = deque()

    def waiting(self, enough: int) -> int:
        """Return how many tasks wait; new ones are counted up to `enough`."""
        self._new.extend(islice(self._source, max(0, enough - len(self._new))))
        return len(self._new) + len(self.again)

    def take(self) -> tuple[Task, int]:
        """Return a task that waits and the number of its attempt."""
        return (self._new.popleft(), 1) if self._new else self.again.popleft()


def _start(make_worker: bytes, threads: int) -> _Process:
    ours, theirs = _CONTEXT.Pipe()
    process = _CONTEXT.Process(target=serve, args=(theirs, make_worker, threads), daemon=True)
    with _interrupts_blocked():
        process.start()
    theirs.close()
    return _Process(process, ours)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block SIGINT meanwhile: a process started now never gets it, so Ctrl-C is the driver's to handle."""
    resource_tracker.ensure_running()  # else start() would do it, and it unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _pickled(thing: object, name: str) -> bytes:
    try:
        return pickle.dumps(thing)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise SamError(
            f"{name} cannot be sent to a worker process: {error}. Use the inline executor (0 workers), or "
            "define what cannot be sent at the top of a module."
        ) from error


def _cores() -> int:
    return len(os.sched_getaffinity(0))
