"""How far an attribution can move, beside how far it did, and what each bound rests on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from sam_toolkit.errors import ComponentError
from sam_toolkit.removal.assumptions import Assumption, Origin
from sam_toolkit.removal.limits import Change, Limit, product
from sam_toolkit.removal.operators import Operator

_ROUNDING = 1e-9
"""Share of a bound by which float64 sums may exceed it."""


@dataclass(frozen=True)
class Bound:
    """An upper bound on the Euclidean change of an attribution, with what it rests on.

    Attributes:
        name: the step it comes from.
        value: not negative; infinite where theory gives nothing.
        origin: who proved it.
        assumptions: at least one.
        certified: False where it rests on an estimate and may be exceeded.
    """

    name: str
    value: float
    origin: Origin
    assumptions: tuple[Assumption, ...]
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


@dataclass(frozen=True, eq=False)
class Chain:
    """A measured change of an attribution and what bounds it.

    Attributes:
        operator: the summary.
        change: the attribution after less that before, float64 `[d]`.
        floor: the Euclidean change between two runs that differ in nothing; 0 for one fixed operator and network.
        bounds: each at most the next one: from evaluated values, from the largest of them, and from the perturbation.
        beside: other bounds on the same change, in no order among them.
    """

    operator: Operator
    change: Tensor
    floor: float
    bounds: tuple[Bound, ...]
    beside: tuple[Bound, ...]

    @property
    def measured(self) -> float:
        """Return the Euclidean length of the change."""
        return float(self.change.norm())

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
    def broken(self) -> tuple[Bound, ...]:
        """Return the certified bounds that the measured change, or the bound before them, exceeds: none, by proof."""
        values = [self.measured, *(bound.value for bound in self.bounds)]
        before = [*values[:-1], *[self.measured] * len(self.beside)]
        pairs = zip(before, (*self.bounds, *self.beside), strict=True)
        return tuple(bound for lower, bound in pairs if bound.certified and lower > bound.value * (1 + _ROUNDING))

    def __str__(self) -> str:
        """Return a table of all bounds, each with the numbers of its assumptions, which stand below it."""
        known = list(dict.fromkeys(text for bound in (*self.bounds, *self.beside) for text in bound.assumptions))
        head = f"{self.operator}: the attribution moved by {self.measured:.4g} (noise floor {self.floor:.4g})"
        rows = [
            *(_row(step.bound, step.tightness, f"{step.slack:8.3f}", known) for step in self.steps),
            *(_row(bound, self.tightness(bound), " " * 8, known) for bound in self.beside),
        ]
        title = f"  {'at most':44} {'value':>10} {'tightness':>9} {'step':>8}"
        notes = [f"  [{number}] {text}" for number, text in enumerate(known, start=1)]
        return "\n".join([head, title, *rows, "if", *notes])


def chain(operator: Operator, before: Tensor, after: Tensor, limit: Limit | None = None, floor: float = 0.0) -> Chain:
    """Return the measured change of an attribution and its bounds, from the subset values `[M]` of two games.

    Args:
        operator: what makes attributions of values: one summary, or one realised operator for both games.
        before: values of the first input or model.
        after: values of the second one, of the same subsets.
        limit: what is known of the change of any value; None: the chain ends with what was evaluated.
        floor: the Euclidean change of the attribution between two runs that differ in nothing.

    Raises:
        ComponentError: values that do not fit the operator, or are not finite.
    """
    difference = after.double() - before.double()
    if difference.dim() != 1 or not bool(difference.isfinite().all()):
        raise ComponentError(f"A chain takes finite values [M] of two games; got {list(difference.shape)}.")
    largest, same = float(difference.abs().max()), (Assumption.SAME_MAP,)
    bounds = [
        Bound("change of each evaluated value", float(operator.pair_bound(difference)), Origin.OURS, same),
        Bound("h x largest evaluated change", operator.bound_constant * largest, Origin.PAPER, same),
    ]
    beside = [
        Bound(
            "spectral norm x length of the changes",
            operator.spectral_norm * float(difference.norm()), Origin.PAPER, same,
        ),
        Bound("sharper constant x largest evaluated change", operator.sharper.model * largest, Origin.OURS, same),
    ]  # fmt: skip
    if limit is not None:
        bounds += _theorem(operator, limit)
        beside += _sharper(operator, limit)
    return Chain(operator, operator.apply(difference), floor, tuple(bounds), tuple(beside))


def _theorem(operator: Operator, limit: Limit) -> Iterator[Bound]:
    assumptions = (Assumption.SAME_MAP, *limit.assumptions)
    value = product(operator.bound_constant, limit.value)
    yield Bound(f"h x limit by the {limit.change}", value, Origin.PAPER, assumptions, limit.certified)


def _sharper(operator: Operator, limit: Limit) -> Iterator[Bound]:
    assumptions = (Assumption.SAME_MAP, *limit.assumptions)
    found = operator.sharper
    constant = found.input if limit.change is Change.SHOWN else found.model
    value = product(constant, limit.sharper)
    yield Bound(f"sharper constant x limit by the {limit.change}", value, Origin.OURS, assumptions, limit.certified)


def _row(bound: Bound, tightness: float, slack: str, known: list[Assumption]) -> str:
    notes = ",".join(str(known.index(text) + 1) for text in bound.assumptions)
    kind = "" if bound.certified else "estimate, no certificate; "
    return f"  {bound.name:44} {bound.value:10.4g} {tightness:9.3f} {slack}  [{notes}] {kind}{bound.origin}"


def _ratio(part: float, whole: float) -> float:
    if whole == 0:
        return math.nan if part == 0 else math.inf
    return part / whole
