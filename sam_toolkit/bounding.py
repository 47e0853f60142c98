"""How far an attribution moved between two maps, beside how far it can, and what each bound rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from sam_toolkit.errors import ComponentError
from sam_toolkit.types import Params

_ROUNDING = 1e-9
"""Share of a bound by which float64 sums may exceed it."""


@dataclass(frozen=True)
class Kept:
    """What was kept beside one map, for what its method says of changes later.

    Attributes:
        setting: the method's hyperparameters.
        image: content digest of the photograph.
        model: fingerprint of the network.
        numbers: tensors by name.
    """

    setting: Params
    image: str
    model: str
    numbers: Mapping[str, Tensor]


@dataclass(frozen=True)
class Explained:
    """Maps `[S, N, H, W]`, and tensors by name that are kept beside each, `[S][N]`; empty where nothing is."""

    maps: Tensor
    beside: Sequence[Sequence[Mapping[str, Tensor]]] = ()


@dataclass(frozen=True)
class Bound:
    """An upper bound on how far an attribution moves, with what it rests on.

    Attributes:
        name: the step it comes from.
        value: not negative; infinite where theory gives nothing.
        origin: who proved it.
        assumptions: at least one.
        certified: False where it rests on an estimate and may be exceeded.
    """

    name: str
    value: float
    origin: str
    assumptions: tuple[str, ...]
    certified: bool = True

    def __post_init__(self) -> None:
        """Refuse a bound without its assumptions, and one that bounds nothing."""
        if not self.assumptions or not self.value >= 0:
            raise ComponentError(
                f"Bound {self.name!r} needs a value of at least 0 and what it assumes; "
                f"got {self.value} and {len(self.assumptions)} assumptions."
            )

    def __str__(self) -> str:
        kind = "bound" if self.certified else "estimate, no certificate"
        return f"{self.name} <= {self.value:.6g} ({kind}; {self.origin}), if {'; '.join(self.assumptions)}"


@dataclass(frozen=True)
class Step:
    """A bound in a chain.

    Attributes:
        bound: what the chain comes to here.
        tightness: measured change over the bound; NaN for 0 / 0.
        slack: the step before over this one, the measured change before the first: what is lost here.
    """

    bound: Bound
    tightness: float
    slack: float


@dataclass(frozen=True)
class Chain:
    """How far an attribution moved, and how far it can.

    Attributes:
        of: what made the attribution.
        measured: Euclidean length of its change.
        floor: the same between two runs that differ in nothing that was asked about, such as with another seed.
        bounds: each at most the next one, the first at least what was measured.
        beside: other bounds on the same change, in no order among them.
    """

    of: str
    measured: float
    floor: float
    bounds: tuple[Bound, ...]
    beside: tuple[Bound, ...] = ()

    def tightness(self, bound: Bound) -> float:
        """Return the measured change over a bound on it; NaN for 0 / 0."""
        return _ratio(self.measured, bound.value)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return the chain with what is lost at each step."""
        values = [self.measured, *(bound.value for bound in self.bounds)]
        return tuple(
            Step(bound, self.tightness(bound), _ratio(before, bound.value))
            for bound, before in zip(self.bounds, values, strict=False)
        )

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Return what any of the bounds assumes, each once."""
        return tuple(dict.fromkeys(text for bound in (*self.bounds, *self.beside) for text in bound.assumptions))

    @property
    def broken(self) -> tuple[Bound, ...]:
        """Return the certified bounds that the measured change, or the bound before them, exceeds: none, by proof."""
        values = [self.measured, *(bound.value for bound in self.bounds)]
        before = [*values[:-1], *[self.measured] * len(self.beside)]
        pairs = zip(before, (*self.bounds, *self.beside), strict=True)
        return tuple(bound for lower, bound in pairs if bound.certified and lower > bound.value * (1 + _ROUNDING))

    def __str__(self) -> str:
        """Return a table of all bounds, each with the numbers of its assumptions, which stand below it."""
        known = self.assumptions
        head = f"{self.of}: the attribution moved by {self.measured:.4g} (noise floor {self.floor:.4g})"
        rows = [
            *(_row(step.bound, step.tightness, f"{step.slack:8.3f}", known) for step in self.steps),
            *(_row(bound, self.tightness(bound), " " * 8, known) for bound in self.beside),
        ]
        title = f"  {'at most':44} {'value':>10} {'tightness':>9} {'step':>8}"
        notes = [f"  [{number}] {text}" for number, text in enumerate(known, start=1)]
        return "\n".join([head, title, *rows, "if", *notes])


def _row(bound: Bound, tightness: float, slack: str, known: tuple[str, ...]) -> str:
    notes = ",".join(str(known.index(text) + 1) for text in bound.assumptions)
    kind = "" if bound.certified else "estimate, no certificate; "
    return f"  {bound.name:44} {bound.value:10.4g} {tightness:9.3f} {slack}  [{notes}] {kind}{bound.origin}"


def _ratio(part: float, whole: float) -> float:
    if whole == 0:
        return math.nan if part == 0 else math.inf
    return part / whole
