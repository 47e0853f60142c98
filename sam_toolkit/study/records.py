"""What a store keeps beside maps: scores, failures, runs and their cost."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Self


@dataclass(frozen=True)
class Score:
    """A number under its key, NaN where undefined, and named numbers beside it such as a chance level."""

    key: str
    value: float
    extras: Mapping[str, float] = field(default_factory=dict)

    @property
    def undefined(self) -> bool:
        """Return whether the metric has no value here, as a correlation has none with a constant map."""
        return math.isnan(self.value)

    @classmethod
    def of_row(cls, key: str, value: float | None, extras: str) -> Self:
        """Return the score that a row of the index stands for."""
        return cls(key, _number(value), {name: _number(extra) for name, extra in json.loads(extras).items()})

    def row(self) -> tuple[str, float | None, str]:
        """Return the score as a row of the index: NaN is NULL there, as SQL and JSON have no NaN."""
        extras = {name: _defined(extra) for name, extra in self.extras.items()}
        return self.key, _defined(self.value), json.dumps(extras)


@dataclass(frozen=True)
class FailedTask:
    """A task that failed and has not succeeded since: its label, the keys it lacks, the error's text."""

    label: str
    keys: tuple[str, ...]
    error: str


@dataclass(frozen=True)
class Run:
    """A run that wrote the store.

    Attributes:
        started: when, in UTC.
        finished: when, in UTC; None for a run that goes on or was killed.
        status: running, killed, or what the run said when it ended.
        provenance: what the run was made of, its study's text among it.
        cost: what it took.
    """

    id: int
    started: datetime
    finished: datetime | None
    status: str
    provenance: Mapping[str, Any]
    cost: Mapping[str, Any]

    @classmethod
    def of_row(cls, *row: Any) -> Self:
        """Return the run that a row of the index stands for."""
        number, started, finished, status, provenance, cost = row
        ended = None if finished is None else datetime.fromisoformat(finished)
        return cls(number, datetime.fromisoformat(started), ended, status, json.loads(provenance), json.loads(cost))


class Cost(NamedTuple):
    """What maps took when they were computed: network rows, and seconds summed over processes."""

    rows: int
    seconds: float


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value


def _number(value: float | None) -> float:
    return math.nan if value is None else value
