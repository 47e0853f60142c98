"""Benchmarks as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sam_toolkit.bench.records import Agreement, CaseResult, Row

_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_DIGITS = 100


def case_table(case: CaseResult) -> RenderableType:
    """Return a case: each contestant's time, throughput and time relative to the first."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", overflow="fold")
    for column in (f"a {case.unit}", "±", f"{case.unit}s/s", "GB/s", "time"):
        table.add_column(column, justify="right", no_wrap=True)
    first = case.rows[0].seconds
    for row in case.rows:
        bandwidth = f"{row.bandwidth / 1e9:.3g}" if row.work.bytes else ""
        table.add_row(
            row.contestant,
            duration(row.seconds),
            f"{row.spread:.0%}",
            f"{1 / row.seconds:,.0f}",
            bandwidth,
            times(row.seconds / first),
        )
    return Group(Text(case.name, "bold"), table, *_lines(case), Text())


def _lines(case: CaseResult) -> Iterator[Text]:
    """Give what the numbers need to be understood."""
    if case.about:
        yield Text(f"  {case.about}", style="dim")
    for row in case.rows:
        facts = [fact for fact in (row.note, _agreement(row)) if fact]
        if facts:
            wrong = row.agreement is not None and not row.agreement.holds
            yield Text(f"  {row.contestant}: {'; '.join(facts)}", style="red" if wrong else "dim")
    for peer in case.skipped:
        yield Text(f"  {peer.contestant}: skipped, {peer.reason}", style="yellow")


def _agreement(row: Row) -> str:
    return "" if row.agreement is None else agreement_text(row.agreement)


def agreement_text(agreement: Agreement) -> str:
    """Return whether a result is ours, in which convention, and how nearly."""
    same = "" if agreement.against == "ours" else f" with its convention ({agreement.against})"
    difference = agreement.difference
    verdict = "result as ours" if agreement.holds else "RESULT IS NOT OURS"
    return f"{verdict}{same}, {f'to {difference:.0e}' if difference else 'exactly'}"


def heading(machine: dict[str, str], versions: dict[str, str]) -> Text:
    """Return what the times belong to, and how to read the tables."""
    lines = [", ".join(f"{name} {value}" for name, value in part.items()) for part in (machine, versions)]
    legend = "±: half the distance between the quartiles. time: relative to the first row, which is ours."
    return Text("\n".join([*lines, legend]), "dim")


def duration(seconds: float) -> str:
    """Return a time with three digits and its unit."""
    size, unit = next((item for item in _UNITS if seconds >= item[0]), _UNITS[-1])
    return f"{seconds / size:#.3g}".rstrip(".") + f" {unit}"


def times(ratio: float) -> str:
    """Return a ratio for a column."""
    return f"{ratio:.0f}×" if ratio >= _DIGITS else f"{ratio:#.3g}×".replace(".×", "×")
