"""Bounds on how far attributions move, beside how far they did, as tables whose assumptions stand beneath."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain as joined

from sam_toolkit.bounding import Bound
from sam_toolkit.reports.wording import UNDEFINED, counted
from sam_toolkit.study.results import BoundedChange

_MOST_PAIRS = 200
"""Pairs of maps of an experiment that the page shows one by one; `bounds.csv` has all of them."""


@dataclass(frozen=True)
class Column:
    """A bound on every change of a table, with the numbers of its assumptions."""

    bound: Bound
    notes: tuple[int, ...]
    beside: bool


@dataclass(frozen=True)
class Cell:
    """A bound's mean value over images, and that of the measured change over it."""

    value: float
    tightness: float


@dataclass(frozen=True)
class Line:
    """The change of one map, or the mean over images, and a cell a column, None where it has no such bound."""

    model: str
    factor: str
    value: str
    image: str
    measured: float
    floor: float
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class BoundTable:
    """The bounds of an experiment along one axis.

    Attributes:
        of: what made the attributions.
        lines: means over images.
        pairs: each pair of maps by itself; empty where they are too many for a page.
        assumptions: what the columns' notes count from 1.
        broken: sentences about certified bounds that were exceeded.
    """

    along: str
    of: tuple[str, ...]
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    pairs: tuple[Line, ...]
    count: int
    assumptions: tuple[str, ...]
    broken: tuple[str, ...]


def bound_tables(changes: Sequence[BoundedChange]) -> list[BoundTable]:
    """Return the bounds of one experiment, a table an axis."""
    along = dict.fromkeys(change.along for change in changes)
    return [_table(axis, [change for change in changes if change.along == axis]) for axis in along]


def magnitude(value: float) -> str:
    """Return a change or bound with three digits: "0.0123", "2.1e+05", "∞", "–" where it is not defined."""
    if math.isnan(value):
        return UNDEFINED
    return "∞" if math.isinf(value) else f"{value:.3g}"


def _table(along: str, changes: list[BoundedChange]) -> BoundTable:
    chained = {_kind(bound): bound for change in changes for bound in change.chain.bounds}
    beside = {_kind(bound): bound for change in changes for bound in change.chain.beside}
    known = list(dict.fromkeys(text for change in changes for text in change.chain.assumptions))
    columns = [
        Column(bound, tuple(known.index(text) + 1 for text in bound.assumptions), bound in beside.values())
        for bound in joined(chained.values(), beside.values())
    ]
    groups: dict[tuple[str, str, str], list[BoundedChange]] = {}
    for change in changes:
        groups.setdefault((change.model, change.factor, change.value), []).append(change)
    return BoundTable(
        along=along,
        of=tuple(dict.fromkeys(change.chain.of for change in changes)),
        columns=tuple(columns),
        lines=tuple(_line(group, columns) for group in groups.values()),
        pairs=tuple(_line([change], columns) for change in changes) if len(changes) <= _MOST_PAIRS else (),
        count=len(changes),
        assumptions=tuple(known),
        broken=tuple(_broken(changes)),
    )


def _kind(bound: Bound) -> tuple[object, ...]:
    """Return what tells a bound from others, whatever its value."""
    return bound.name, bound.origin, bound.assumptions, bound.certified


def _line(changes: list[BoundedChange], columns: list[Column]) -> Line:
    first = changes[0]
    image = first.image if len(changes) == 1 else counted(len(changes), "image")
    measured, floor = _mean(each.chain.measured for each in changes), _mean(each.chain.floor for each in changes)
    cells = tuple(_cell(changes, column) for column in columns)
    return Line(first.model, first.factor, first.value, image, measured, floor, cells)


def _cell(changes: list[BoundedChange], column: Column) -> Cell | None:
    found = [
        (bound.value, change.chain.tightness(bound))
        for change in changes
        for bound in (*change.chain.bounds, *change.chain.beside)
        if _kind(bound) == _kind(column.bound)
    ]
    if not found:
        return None
    values, ratios = zip(*found, strict=True)
    return Cell(_mean(values), _mean(ratio for ratio in ratios if not math.isnan(ratio)))


def _mean(values: Iterable[float]) -> float:
    given = list(values)
    return sum(given) / len(given) if given else math.nan


def _broken(changes: Iterable[BoundedChange]) -> Iterable[str]:
    for change in changes:
        for bound in change.chain.broken:
            yield (
                f"{change.model}, {change.value}, {change.image}: {bound.name} is {magnitude(bound.value)}, "
                f"the attribution moved by {magnitude(change.chain.measured)}."
            )
