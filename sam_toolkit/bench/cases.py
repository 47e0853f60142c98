"""A case: who is to do the same work, checked against each other, then timed in turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sam_toolkit.bench.records import Agreement, CaseResult, Row, Skipped, Unit, Work
from sam_toolkit.bench.timing import Stopwatch, race

TOLERANCES = {torch.float64: 1e-6, torch.float32: 1e-4}  # several peers make their windows in float32
_HALF = 1e-2


class SkipPeer(Exception):
    """A peer cannot take part, for the reason that the message gives."""


@dataclass(frozen=True)
class Contestant:
    """One way to do the work of a case."""

    name: str
    call: Callable[[], Tensor]
    work: Work
    note: str = ""
    agreement: Agreement | None = None


@dataclass
class Case:
    """Ours and its peers; every peer is timed right after ours."""

    name: str
    unit: Unit
    ours: Contestant
    about: str = ""
    peers: list[Contestant] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def invite(self, name: str, make: Callable[[], Contestant]) -> None:
        """Add a peer, or the reason why it does not take part."""
        try:
            self.peers.append(make())
        except SkipPeer as reason:
            self.skipped.append(Skipped(contestant=name, reason=str(reason)))

    def measure(self, rounds: int, stopwatch: Stopwatch) -> CaseResult:
        """Return the samples of all contestants."""
        entries = [(one.name, one.call) for one in (self.ours, *self.peers)]
        order = [entry for peer in entries[1:] for entry in (entries[0], peer)] or entries
        samples = race(order, rounds, stopwatch)
        rows = tuple(_row(one, *samples[one.name]) for one in (self.ours, *self.peers))
        return CaseResult(name=self.name, unit=self.unit, about=self.about, rows=rows, skipped=tuple(self.skipped))


def _row(one: Contestant, calls: int, samples: Sequence[float]) -> Row:
    return Row(
        contestant=one.name,
        work=one.work,
        calls=calls,
        samples=tuple(samples),
        agreement=one.agreement,
        note=one.note,
    )


def compare(found: Tensor, ours: Tensor, against: str) -> Agreement:
    """Return how far a result is from ours, `against` saying how ours was computed."""
    difference = (found.double().cpu() - ours.double().cpu()).abs().max()
    return Agreement(difference=float(difference), tolerance=TOLERANCES.get(ours.dtype, _HALF), against=against)
