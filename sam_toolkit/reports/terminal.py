"""A study's verdict for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sam_toolkit.reports.ranking import Knob, ranking
from sam_toolkit.reports.verdict import Verdict, verdicts
from sam_toolkit.reports.wording import counted, ends, number, printable
from sam_toolkit.study.results import Results, Sensitivity

_TITLES = {"settings": "Sensitivity to hyperparameters", "inputs": "Sensitivity to the input"}


def summary(results: Results) -> RenderableType:
    """Return what a study found: verdicts, tables of the sensitivity index, failures and notes."""
    found = verdicts(results)
    parts: list[RenderableType] = [part for verdict in found for part in _verdict(results, verdict)]
    if not found:
        parts.append(Text("No sensitivity index: nothing was compared with a reference."))
    parts += [Text(f"Accuracies of {counted(len(results.accuracies), 'setting')} are in the report.")] * bool(
        results.accuracies
    )
    parts += [
        _line(f"Failed: {item.model}, {item.method} ({item.settings}): {item.error}", "red")
        for item in results.failures
    ]
    parts += [_line(note, "dim") for note in results.notes]
    return Group(*parts)


def _verdict(results: Results, verdict: Verdict) -> Iterator[RenderableType]:
    for sentence in verdict.headlines:
        yield _line(sentence, "bold")
    for sentence in verdict.cautions:
        yield _line(f"- {sentence}")
    yield Padding(_table(results, verdict.along), (1, 0, 0, 0))


def _table(results: Results, along: str) -> Table:
    knobs = ranking(results, along)
    models = len({knob.model for knob in knobs}) > 1
    table = Table(
        title=_TITLES.get(along, f"Sensitivity along {along}"), title_justify="left", box=SIMPLE_HEAD, pad_edge=False
    )
    for column in ("method", "varied", *(("model",) if models else ()), "metric"):
        table.add_column(column, overflow="fold")
    for column in ("index", "95 % CI", "similarity", "floor", "random", "images"):
        table.add_column(column, justify="right", no_wrap=True)
    for knob in knobs:
        for place, (metric, item) in enumerate(knob.by_metric.items()):
            table.add_row(*_cells(knob, place, models), Text(printable(metric)), *_numbers(item))
        table.add_section()
    table.caption = "index: 0 moves no more than a rerun, 1 as unrelated as noise"
    table.caption_justify = "left"
    return table


def _cells(knob: Knob, place: int, models: bool) -> list[Text]:
    texts = [knob.name, knob.factor, *([knob.model] if models else [])]
    return [Text(printable(text) if place == 0 else "") for text in texts]


def _numbers(item: Sensitivity) -> list[str]:
    scores = (item.similarity.mean, item.floor.mean, item.random.mean)
    return [number(item.index.mean), ends(item.index) or "none", *map(number, scores), str(item.index.count)]


def _line(text: str, style: str = "") -> Text:
    return Text(printable(text).replace("`", ""), style=style)
