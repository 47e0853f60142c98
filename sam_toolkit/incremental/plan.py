"""How requests for hidden windows are met: by which batches, or by the whole network and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from sam_toolkit.incremental.geometry import Ints
from sam_toolkit.incremental.kept import program_of
from sam_toolkit.incremental.program import Program, Shape
from sam_toolkit.incremental.schedule import Schedule
from sam_toolkit.incremental.tracing import NotTraced
from sam_toolkit.model import Model

Window = tuple[int, int, int, int]
"""(y0, x0, y1, x1), ends exclusive."""

_KEPT = 32
"""Schedules that a program keeps, for the windows of the next image."""
_WORTH_WHILE = 0.8
"""Share of the predicted cost of whole rows above which windows are left aside; at 0.84 one network was slower."""


@dataclass(frozen=True)
class Request:
    """Windows to hide, and by what: a number, one a channel `[C]`, or a second image each `[N, C, H, W]`."""

    windows: Sequence[Window]
    fill: float | Tensor = 0.0


@dataclass(frozen=True)
class Part:
    """Windows of one size: their numbers in the request, and their batches."""

    numbers: Ints
    schedule: Schedule


@dataclass(frozen=True)
class Plan:
    """What becomes of requests.

    Attributes:
        why_dense: why all rows go through the whole network; empty where they do not.
        parts: of each request.
    """

    why_dense: str
    program: Program | None = None
    parts: tuple[tuple[Part, ...], ...] = ()


def plan(model: Model, shape: Shape, requests: Sequence[Request]) -> Plan:
    """Return the plan for images `shape` (C, H, W)."""
    if not model.incremental:
        return Plan("it is switched off for this model")
    if model.precision != "float32":
        return Plan(f"the network computes in {model.precision}")
    try:
        program = program_of(model.module, shape)
    except NotTraced as reason:
        return Plan(str(reason))
    parts = tuple(tuple(_parts(program, one.windows, (shape[-2], shape[-1]), model.chunk)) for one in requests)
    every = [part.schedule for group in parts for part in group]
    whole = sum(schedule.whole for schedule in every)
    share = sum(schedule.cost for schedule in every) / whole if whole else 1.0
    if share > _WORTH_WHILE:
        return Plan(f"no more than {max(0.0, 1 - share):.0%} of the work would be saved")
    return Plan("", program, parts)


def _parts(program: Program, windows: Sequence[Window], size: tuple[int, int], chunk: int) -> Iterator[Part]:
    table = np.array(windows, dtype=np.int64).reshape(-1, 4)
    kinds, kind_of = np.unique(table[:, 2:] - table[:, :2], axis=0, return_inverse=True)
    for kind in range(len(kinds)):
        numbers = np.flatnonzero(kind_of.reshape(-1) == kind)
        yield Part(numbers, _schedule(program, table[numbers], size, chunk))


def _schedule(program: Program, windows: Ints, size: tuple[int, int], chunk: int) -> Schedule:
    """Return the schedule that the last image had, where windows and chunk are the same."""
    key = windows.tobytes(), chunk
    found = program.schedules.pop(key, None) or Schedule(program, windows, size, chunk)
    program.schedules[key] = found
    while len(program.schedules) > _KEPT:
        del program.schedules[next(iter(program.schedules))]
    return found
