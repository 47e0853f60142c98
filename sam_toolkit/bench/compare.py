"""Whether a second benchmark is faster than a first, row by row, as far as the samples tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sam_toolkit.bench.records import OURS, Report, Row
from sam_toolkit.bench.tables import duration
from sam_toolkit.reports.wording import counted

Verdict = Literal["same", "faster", "slower", "unclear"]
_COLOURS = {"same": "", "faster": "green", "slower": "red", "unclear": "yellow"}
_RESAMPLES, _CONFIDENCE = 5000, 0.95
_FEWEST = 5  # the median of fewer samples has no interval worth the name


@dataclass(frozen=True)
class Change:
    """New time over old time of a contestant in a case, with the interval that a bootstrap gives it."""

    case: str
    contestant: str
    old: float
    new: float
    low: float
    high: float
    verdict: Verdict


def changes(old: Report, new: Report, tolerance: float) -> list[Change]:
    """Return a change for each contestant that took part in a case of both."""
    before, after = dict(_rows(old)), dict(_rows(new))
    return [_change(*key, before[key], row, tolerance) for key, row in after.items() if key in before]


def _rows(report: Report) -> Iterator[tuple[tuple[str, str], Row]]:
    return (((case.name, row.contestant), row) for case in report.cases for row in case.rows)


def _change(case: str, contestant: str, old: Row, new: Row, tolerance: float) -> Change:
    low, high = interval(old, new)
    enough = min(len(old.samples), len(new.samples)) >= _FEWEST
    verdict = judge(low, high, tolerance) if enough else "unclear"
    return Change(case, contestant, old.seconds, new.seconds, low, high, verdict)


def interval(old: Row, new: Row) -> tuple[float, float]:
    """Return the 95 % interval of the ratio of the medians, new over old, by resampling both."""
    draws = np.random.default_rng(0)
    medians = [
        np.median(draws.choice(row.samples, (_RESAMPLES, len(row.samples))), axis=1) / row.work.units
        for row in (old, new)
    ]
    outside = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(medians[1] / medians[0], [outside, 1 - outside])
    return float(low), float(high)


def judge(low: float, high: float, tolerance: float) -> Verdict:
    """Return what an interval of the ratio says: unclear where it holds both what is the same and what is not."""
    if high < 1 - tolerance:
        return "faster"
    if low > 1 + tolerance:
        return "slower"
    return "same" if low >= 1 - tolerance and high <= 1 + tolerance else "unclear"


def comparison(old: Report, new: Report, tolerance: float) -> RenderableType:
    """Return the changes as tables, after whatever else differs between the two runs."""
    found = changes(old, new, tolerance)
    rows = {case.name: [one for one in found if one.case == case.name] for case in new.cases}
    tables = [_table(name, those) for name, those in rows.items() if those]
    legend = (
        f"change: time, new over old, less 1; same: wholly within {tolerance:.0%}; unclear: the interval holds both."
    )
    return Group(*differences(old, new), *tables, *_missing(old, new), *_control(found), Text(legend, "dim"))


def differences(old: Report, new: Report) -> list[Text]:
    """Return a warning for each fact about machine, versions and settings that is not the same."""
    parts = [(old.machine, new.machine), (old.versions, new.versions), (old.settings, new.settings)]
    return [
        Text(f"Not the same: {name}: {first.get(name, 'nothing')} -> {second.get(name, 'nothing')}", "yellow")
        for first, second in parts
        for name in {**first, **second}
        if first.get(name) != second.get(name)
    ]


def _missing(old: Report, new: Report) -> Iterator[Text]:
    """Give a line for each case with rows that only one of the two has."""
    before, after = _contestants(old), _contestants(new)
    for case in {**before, **after}:
        for file, names in (("old", before), ("new", after)):
            other = after if names is before else before
            alone = [name for name in names.get(case, []) if name not in other.get(case, [])]
            if alone:
                yield Text(f"Only the {file} file has {case}: {', '.join(alone)}", "yellow")


def _contestants(report: Report) -> dict[str, list[str]]:
    return {case.name: [row.contestant for row in case.rows] for case in report.cases}


def _control(found: list[Change]) -> Iterator[Text]:
    """Give a warning where peers have changed, who are the same code in both runs if their versions are."""
    moved = [one for one in found if one.verdict in {"faster", "slower"} and not one.contestant.startswith(OURS)]
    if moved:
        text = f"{counted(len(moved), 'row')} of peers changed too. With the same versions, that is the machine."
        yield Text(text, "yellow")


def _table(name: str, found: list[Change]) -> RenderableType:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", overflow="fold")
    for column in ("old", "new", "change", "95 % interval", "verdict"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in found:
        bounds = f"{one.low - 1:+.1%} to {one.high - 1:+.1%}"
        verdict = Text(one.verdict, _COLOURS[one.verdict])
        change = f"{one.new / one.old - 1:+.1%}"
        table.add_row(one.contestant, duration(one.old), duration(one.new), change, bounds, verdict)
    return Group(Text(name, "bold"), table)
