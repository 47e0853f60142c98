"""A study's verdict for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sam_toolkit.reports.advice import advice
from sam_toolkit.reports.ranking import Knob, method_names, ranking
from sam_toolkit.reports.verdict import Verdict, verdicts
from sam_toolkit.reports.wording import ends, number, printable
from sam_toolkit.study.results import Results, Sensitivity

_TITLES = {"settings": "Sensitivity to hyperparameters", "inputs": "Sensitivity to the input"}


def summary(results: Results) -> RenderableType:
    """Return what a study found: verdicts, tables of the sensitivity index, advice, failures and notes."""
    found = verdicts(results)
    parts: list[RenderableType] = [part for verdict in found for part in _verdict(results, verdict)]
    if not found:
        parts.append(Text("No sensitivity index: nothing was compared with a reference."))
    parts += _advised(results)
    if results.accuracies:
        parts.append(Text("The accuracies of each setting are in the report."))
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


def _advised(results: Results) -> Iterator[RenderableType]:
    names = method_names(results)
    found = [(names.get(item.index, ""), text) for item in results.experiments for text in advice(results, item.index)]
    if found:
        yield Text()
        yield _line("Advice, and how sure it is; a move of 1 is as far as a random map is", "italic")
        yield from (_line(f"- {name}: {text}") for name, text in found)
        yield Text()


def _table(results: Results, along: str) -> Table:
    knobs = ranking(results, along)
    models = len({knob.model for knob in knobs}) > 1
    table = Table(
        title=_TITLES.get(along, f"Sensitivity along {along}"),
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("method", overflow="fold")
    table.add_column("metric", overflow="fold")
    for column in ("index", "95 % CI", "s", "floor", "random", "n"):
        table.add_column(column, justify="right", no_wrap=True)
    for knob in knobs:
        for name, (metric, item) in zip(_names(knob, models), knob.by_metric.items(), strict=True):
            table.add_row(Text(name), Text(printable(metric)), *_numbers(item))
        table.add_section()
    table.caption = (
        "index: 0 moves no more than a rerun, 1 as unrelated as noise\n"
        "s: similarity to the default's map; floor: of reruns; random: to a random map; n: images"
    )
    table.caption_justify = "left"
    return table


def _names(knob: Knob, models: bool) -> list[str]:
    """Return a text for each row of the knob: names one below the other, which a narrow terminal holds."""
    names = [knob.name, f"  {knob.factor}", *([f"  {knob.model}"] if models else [])]
    rows = len(knob.by_metric)
    first = [*map(printable, names[: rows - 1]), "\n".join(map(printable, names[rows - 1 :]))]
    return first + [""] * (rows - len(first))


def _numbers(item: Sensitivity) -> list[str]:
    scores = (item.similarity.mean, item.floor.mean, item.random.mean)
    return [number(item.index.mean), ends(item.index) or "none", *map(number, scores), str(item.index.count)]


def _line(text: str, style: str = "") -> Text:
    return Text(printable(text).replace("`", ""), style=style)
