"""Whole studies as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sam_toolkit.bench.study_records import Growth, Line, Part, StudyResult
from sam_toolkit.bench.tables import agreement_text, duration, times

_TIMES = ("script", "ours", "saving", "possible", "reached")
_ROWS = ("script's rows", "our rows", "windows")
_LEGEND = (
    "saving: the script's time over ours. possible: over what our rows take in the bare network, in its quickest "
    "layout and batch, batch norm folded, times the share of the multiply-adds that windows change; a step of masks "
    "has a row for each that goes on. reached: the share of that. rows: forward, and of those backward."
)
_MEGABYTE = 2**20


def study_table(result: StudyResult) -> RenderableType:
    """Return what was compared, and then, where all of it agrees, the times."""
    title = Text(f"Study of one photograph, {result.network}, {result.extent}", "bold")
    notes = [*_agreements(result), *_notes(result)]
    if not result.agrees:
        return Group(title, *notes, Text("  No times: the two sides have not computed the same.", "red"), Text())
    spent = _table("", *_TIMES)
    sent = _table("", *_ROWS)
    for line in result.lines:
        spent.add_row(line.name, *_times(line))
        if line.script.forward:
            sent.add_row(line.name, *_rows(line))
    return Group(title, *notes, spent, sent, Text(f"  {_LEGEND}", "dim"), Text())


def _table(first: str, *others: str) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in (first, *others):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    return table


def _times(line: Line) -> Iterator[str]:
    yield duration(line.script.seconds)
    yield duration(line.ours.seconds)
    yield times(line.reached)
    yield times(line.possible) if line.floor else ""
    yield f"{line.share:.0%}" if line.floor else ""


def _rows(line: Line) -> Iterator[str]:
    yield from map(_counted, (line.script, line.ours))
    yield times(1 / line.least) if line.least < 1 else ""


def _counted(part: Part) -> str:
    backward = f" ({part.backward:,})" if part.backward else ""
    return f"{part.forward:,}{backward}" if part.forward else ""


def _agreements(result: StudyResult) -> Iterator[Text]:
    for line in result.lines:
        if line.agreement is not None:
            yield Text(f"  {line.name}: {agreement_text(line.agreement)}", "dim" if line.agreement.holds else "red")


def _notes(result: StudyResult) -> Iterator[Text]:
    for name, way in result.speeds.ways.items():
        yield Text(f"  the script's {name}: {way}", "dim")
    held = ", ".join(f"{side} {peak / _MEGABYTE:,.0f} MiB" for side, peak in result.peak.items())
    yield Text(f"  memory at most, beyond the open network: {held}; maps {result.maps / _MEGABYTE:,.1f} MiB", "dim")


def growth_table(growth: Growth) -> RenderableType:
    """Return what each step along an axis cost."""
    table = _table(growth.axis, "rows", "alone", "all", "computing maps", "comparing", "memory", "maps")
    for step in growth.steps:
        seconds = (step.seconds, step.seconds_maps, step.seconds_comparing)
        sizes = (f"{size / _MEGABYTE:,.0f} MiB" for size in (step.peak, step.map_bytes))
        table.add_row(f"{step.amount:,}", f"{step.rows:,}", f"{step.rows_alone:,}", *map(duration, seconds), *sizes)
    return Group(Text(f"Growing: {growth.about}", "bold"), table, Text())
