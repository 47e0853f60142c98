"""The page's tables, in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from averages import Average
from differences import Difference, Level, Movement, Question
from smoothing import Smoothing

from sam_toolkit.sources import ReferenceNets
from sam_toolkit.study.findings import Interval

_SMALLEST = 0.001
_ACCURACIES = ("clean", "noise", "attack")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = True) -> str:
    """Return a Markdown table whose first column is text and whose others are numbers, or text too."""
    lines = [header, ["---", *["---:" if numbers else "---"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def network_table(names: Iterable[str]) -> str:
    """Return the accuracies of networks, and how they were measured."""
    cards = {name: ReferenceNets().card(name) for name in names}
    rows = [[f"`{name}`", *(card[f"{what}_accuracy"] for what in _ACCURACIES)] for name, card in cards.items()]
    notes = []
    for what in _ACCURACIES:
        hows = {(card["dataset"], card[f"{what}_how"]) for card in cards.values()}
        notes += [f"- {what}, {data}: {how}" for data, how in sorted(hows)]
    return "\n".join([table(["network", *_ACCURACIES], rows), "", *notes])


def movement_table(found: Sequence[Movement]) -> str:
    """Return how far maps move, one by one: level, index, test."""
    rows = [
        [
            varied(item.question),
            item.question.metric,
            level(item.level),
            ends(item.effect),
            f"{item.share:.0%}",
            *_test(item),
        ]
        for item in found
    ]
    return table(["varied", "metric", "similarity", "below rerun", "share", *_TEST, "moves"], rows)


def difference_table(found: Sequence[Difference]) -> str:
    """Return the differences one by one: levels, intervals, tests."""
    rows = [
        [
            varied(item.question),
            item.question.metric,
            *(level(one) for one in item.levels),
            ends(item.effect),
            ends(item.over_random),
            *_test(item),
        ]
        for item in found
    ]
    header = ["varied", "metric", *found[0].kinds, "difference", "over random", *_TEST, "more alike"]
    return table(header, rows)


def smoothing_table(found: Sequence[Smoothing]) -> str:
    """Return how much closer smoother maps of regular networks come to the robust twin's gradient."""
    rows = [
        [
            f"{item.data}: {item.method}",
            item.metric,
            f"{item.plain:.2f}",
            level(Level(item.smooth, item.rerun, item.random)),
            ends(item.effect),
            *_test(item),
        ]
        for item in found
    ]
    return table(["map", "metric", "gradient", "map", "gain", *_TEST, "closer"], rows)


def average_table(found: Sequence[Average]) -> str:
    """Return how much mean accuracies change with settings, beside how far the maps move."""
    rows = [
        [
            f"{item.data}: {item.title}",
            item.metric,
            f"{item.accuracy:.3f}",
            f"{ends(item.effect)} ({item.setting})",
            ends(item.span),
            f"{item.share:.0%}" if math.isfinite(item.share) else "none",
            f"{item.similarity:.2f} (1, {item.random:.2f})",
            f"{item.moved.mean:.0%} [{item.moved.low:.0%}, {item.moved.high:.0%}]",
            _WORDS[item.sign],
        ]
        for item in found
    ]
    header = ["maps", "accuracy", "default", "largest change", "over random", "share", "ssim", "moved", "hides"]
    return table(header, rows)


_TEST = ("images", "trainings", "p")
_WORDS = {1: "yes", 0: "open", -1: "no"}


def _test(item: Movement | Difference | Smoothing) -> list[str]:
    above = sum(value > 0 for value in item.trainings)
    return [
        str(item.effect.count),
        f"{above}/{len(item.trainings)}",
        probability(item.corrected),
        {1: "yes", 0: "open", -1: "less"}[item.sign],
    ]


def varied(question: Question) -> str:
    """Return what was varied in words: "smoothgrad: samples 25, 100 (from samples=50)"."""
    values = ", ".join(value.removeprefix(f"{question.factor}=") for value in question.values)
    origin = "" if question.along == "inputs" else f" (from {question.reference})"
    return f"{question.method}: {question.factor} {values}{origin}"


def level(value: Level) -> str:
    """Return a similarity with its floors in brackets: reruns (a dash where nothing is drawn), random maps."""
    rerun = "-" if value.rerun == 1 else f"{value.rerun:.2f}"
    return f"{value.similarity:.2f} ({rerun}, {value.random:.2f})"


def number(value: float) -> str:
    """Return a difference, its sign always shown."""
    return f"{value:+.3f}"


def ends(value: Interval) -> str:
    """Return a difference with its interval."""
    return f"{number(value.mean)} [{number(value.low)}, {number(value.high)}]" if _known(value) else number(value.mean)


def span(value: Interval) -> str:
    """Return a share with its interval."""
    return f"{value.mean:.2f} [{value.low:.2f}, {value.high:.2f}]" if _known(value) else f"{value.mean:.2f}"


def probability(value: float) -> str:
    """Return a p-value, or a bound below which it is not told apart."""
    return "" if math.isnan(value) else "< .001" if value < _SMALLEST else f"{value:.3f}".lstrip("0")


def _known(value: Interval) -> bool:
    return math.isfinite(value.low)
