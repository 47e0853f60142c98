"""An estimate for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from rich.box import SIMPLE_HEAD
from rich.console import Group as Together
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sam_toolkit.study.cost import Cost
from sam_toolkit.study.estimate import ALL, MAPS, TIMED_ROWS, Estimate, Line

_MIB = 2**20


def table(found: Estimate, groups: bool = False) -> RenderableType:
    """Return what a study will cost, and with `groups` which settings are computed together."""
    times = found.rows_alone / found.rows if found.rows else 1.0
    return Together(
        *(_groups(found.groups) if groups else ()),
        _costs(found),
        *(Text(f"{name} runs {how}.") for name, how in found.networks.items()),
        *_hows(found.groups),
        f"{found.maps:,} maps of {found.images} images in {found.tasks} tasks on {found.device}.",
        f"Network rows: {found.rows:,}, against {found.rows_alone:,} without sharing ({times:.1f} times as many).",
        f"Store: {found.store_bytes / _MIB:,.0f} MiB. Memory for a batch: {found.memory_bytes / _MIB:,.0f} MiB.",
        f"Time: about {timedelta(seconds=round(found.seconds))}, from {TIMED_ROWS} rows timed; comparing adds to it.",
    )


def _groups(lines: tuple[Line, ...]) -> Iterator[RenderableType]:
    """Yield each model and input with its groups: settings that one call computes."""
    place = ("", "")
    for line in lines:
        if (line.model, line.input) != place:
            place = (line.model, line.input)
            yield Text(f"{line.model}, {line.input}", style="bold")
        alone = f", {line.rows_alone:,} by themselves" if line.rows_alone > line.rows else ""
        yield Padding(Text(f"{line.method}: {_counted(line.rows, 'row')}{alone}"), (0, 0, 0, 2))
        yield Padding(Text("; ".join(line.settings), style="dim"), (0, 0, 0, 4))
    yield Text()


def _hows(lines: tuple[Line, ...]) -> Iterator[Text]:
    """Yield what the rows of each model and method are, where they are not the whole network."""
    for text in dict.fromkeys(f"{line.method} on {line.model}: {line.how}." for line in lines if line.how):
        yield Text(text)


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}" + "s" * (number != 1)


def _costs(found: Estimate) -> Table:
    """Return what is saved by sharing: rows of the settings together, and each by itself."""
    lines = Table(
        title=f"{found.title}: network rows an image",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        caption="alone: each setting by itself; reruns make the floor, on top of the rows together",
        caption_justify="left",
    )
    lines.add_column("method, perturbation or accuracy", overflow="fold")
    for column in ("together", "alone", "share", "reruns"):
        lines.add_column(column, justify="right", no_wrap=True)
    for cost in found.costs:
        lines.add_row(cost.name, *_numbers(cost), style="bold" if cost.name in (MAPS, ALL) else "")
    return lines


def _numbers(cost: Cost) -> tuple[str, ...]:
    return f"{cost.rows:,}", f"{cost.alone:,}", f"{100 * cost.share:.0f} %", f"{cost.floors:,}"
