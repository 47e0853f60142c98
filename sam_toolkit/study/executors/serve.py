"""What a worker process does: it makes its worker, then carries out the tasks that it is sent."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

import torch

from sam_toolkit.errors import SamError
from sam_toolkit.study.executors.inline import guarded, told

_EVERY = 0.5
"""Seconds from one word of a task to the next."""


@dataclass(frozen=True)
class Started:
    """The first word of a worker process: it is ready, or the error that kept it from being so."""

    error: str = ""


@dataclass(frozen=True)
class Underway:
    """Word from a task under way: how many of its network rows are done."""

    rows: int


class _Now:
    """Sends how a task gets on, a few times a second at most."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._last = time.monotonic()

    def __call__(self, rows: int) -> None:
        if time.monotonic() - self._last > _EVERY:
            self._last = time.monotonic()
            self._pipe.send(Underway(rows))


def serve(pipe: Connection, make_worker: bytes, threads: int) -> None:
    """Carry out tasks from `pipe` with so many threads, until it is closed or the driver's process ends."""
    threading.Thread(target=_end_with_driver, daemon=True).start()
    torch.set_num_threads(threads)
    with suppress(EOFError, ConnectionError):
        try:
            worker = pickle.loads(make_worker)()
        except SamError as error:
            return pipe.send(Started(str(error)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the driver reports it
            return pipe.send(Started(told(error)))
        pipe.send(Started())
        while True:
            pipe.send(guarded(worker, pipe.recv(), _Now(pipe)))


def _end_with_driver() -> None:
    """End this process with the driver's, also in the midst of a task: nobody would record what it wrote."""
    driver = multiprocessing.parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)
