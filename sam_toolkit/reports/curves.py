"""Similarity along the values of each factor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sam_toolkit.reports.axes import Axis, axis
from sam_toolkit.reports.drawing import MUTED, RULE, cycled
from sam_toolkit.reports.wording import bounded, printable, shortened
from sam_toolkit.study.findings import Interval
from sam_toolkit.study.results import Sensitivity, ValueSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _PANEL, _LEFT, _GAP, _HEAD, _FOOT = 9.4, 2.1, 0.5, 0.38, 0.34, 0.62
"""Inches: the figure, a panel's height, left of a line of panels, between them, above and beneath them."""
_COLUMNS, _WIDEST = 4, 3.6
"""Panels side by side at most, and a panel's width at most."""
CHANCE = "chance"
"""What metrics call the level that unrelated maps reach."""


@dataclass(frozen=True)
class Curves:
    """What is drawn: the points, the floors and the default's value of each factor, where it is a setting."""

    values: tuple[ValueSummary, ...]
    floors: tuple[Sensitivity, ...]
    defaults: Mapping[str, str]

    @property
    def factors(self) -> list[tuple[str, str]]:
        """Return what a panel stands for, what was varied along and the factor, in the study's order."""
        return list(dict.fromkeys((item.along, item.factor) for item in self.values))

    @property
    def metrics(self) -> list[str]:
        """Return what a line stands for, in the study's order."""
        return list(dict.fromkeys(item.metric for item in self.values))


def draw_curves(curves: Curves) -> Figure:
    """Return the figure: a panel a factor, a line a metric."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - a second of import that only a report needs

    factors = curves.factors
    columns = len(factors) if len(factors) <= _COLUMNS else min(_COLUMNS, math.ceil(len(factors) / 2))
    lines = math.ceil(len(factors) / max(1, columns)) or 1
    legend = 0.24 * (1 + _legend_width(curves) // 110)
    total = legend + lines * (_HEAD + _PANEL + _FOOT)
    figure = Figure(figsize=(_WIDTH, total))
    width = min(_WIDEST, (_WIDTH - _LEFT) / max(1, columns) - _GAP)
    limits = _limits(curves)
    for place, factor in enumerate(factors):
        line, column = divmod(place, columns)
        left = _LEFT + column * (width + _GAP)
        bottom = total - legend - (line + 1) * (_HEAD + _PANEL + _FOOT) + _FOOT
        axes = figure.add_axes((left / _WIDTH, bottom / total, width / _WIDTH, _PANEL / total))
        axes.set(ylim=limits)
        _panel(axes, curves, *factor)
        if column == 0:
            axes.set_ylabel("similarity")
    _legend(figure, curves)
    return figure


def _limits(curves: Curves) -> tuple[float, float]:
    intervals = [item.similarity for item in curves.values] + [item.random for item in curves.floors]
    levels = [item.extras[CHANCE] for item in curves.values if _has_chance(item)]
    found = [value for each in intervals for value in (each.mean, each.low) if math.isfinite(value)] + levels
    return min([0.0, *found]) - 0.05, 1.06


def _panel(axes: Axes, curves: Curves, along: str, factor: str) -> None:
    own = [item for item in curves.values if (item.along, item.factor) == (along, factor)]
    floors = [item for item in curves.floors if (item.along, item.factor) == (along, factor)]
    default = curves.defaults.get(factor) if along == "settings" else None
    values = [item.value for item in own]
    where = axis(_with_default(values, default))
    axes.set(xlim=(0, 1), title=shortened(printable(_title(along, factor)), 30))
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    _ticks(axes, where, default)
    if default is not None:
        axes.axvline(where.positions[default], color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    for place, (metric, colour, marker) in enumerate(cycled(curves.metrics)):
        shift = 0.0 if where.scale != "categorical" else (place - (len(curves.metrics) - 1) / 2) * 0.035
        points = [(where.positions[item.value] + shift, item.similarity) for item in own if item.metric == metric]
        _line(axes, sorted(points, key=lambda point: point[0]), (colour, marker), where)
        for item in own:
            if item.metric == metric and _has_chance(item):
                _tick(axes, where.positions[item.value] + shift, item.extras[CHANCE], colour)
        _floors(axes, [item for item in floors if item.metric == metric], colour)


def _title(along: str, factor: str) -> str:
    """Return the factor, told apart from the same one in a comparison of another kind."""
    return factor if along in ("settings", "inputs") else f"{factor} ({along})"


def _with_default(values: Sequence[str], default: str | None) -> list[str]:
    """Return the values with the default where it is one of their kind; on a categorical axis it comes first."""
    return list(values) if default is None else list(dict.fromkeys([default, *values]))


def _ticks(axes: Axes, where: Axis, default: str | None) -> None:
    labelled = where.labelled()
    length = max(6, 44 // max(1, len(labelled)))
    names = {value: shortened(printable(where.label(value)), length) for value in labelled}
    texts = [f"{name}\ndefault" if value == default else name for value, name in names.items()]
    axes.set_xticks(list(labelled.values()), texts)
    axes.set_xticks(list(where.positions.values()), minor=True)
    notes = [note for note in (where.unit, "log scale" if where.scale == "log" else "") if note]
    axes.set_xlabel(", ".join(notes), fontsize=8)


def _line(axes: Axes, points: list[tuple[float, Interval]], look: tuple[str, str], where: Axis) -> None:
    colour, marker = look
    x = np.array([position for position, _ in points])
    mean, low, high = (np.array([getattr(item, part) for _, item in points]) for part in ("mean", "low", "high"))
    joined = "none" if where.scale == "categorical" else "-"
    if where.scale == "categorical" or len(points) == 1:
        for position, item in points:
            if bounded(item):
                axes.plot([position] * 2, [item.low, item.high], color=colour, linewidth=1.8, solid_capstyle="round")
    else:
        axes.fill_between(x, low, high, color=colour, alpha=0.14, linewidth=0)
    axes.plot(
        x, mean, color=colour, marker=marker, linestyle=joined, linewidth=1.6, markersize=5.5,
        markeredgecolor="white", markeredgewidth=0.8, zorder=4,
    )  # fmt: skip


def _has_chance(item: ValueSummary) -> bool:
    """Return whether the metric says what unrelated maps reach, other than 0."""
    return math.isfinite(item.extras.get(CHANCE, math.nan)) and item.extras[CHANCE] != 0


def _tick(axes: Axes, x: float, y: float, colour: str) -> None:
    axes.plot([x], [y], color=colour, marker="_", markersize=13, markeredgewidth=1.4, linestyle="none", zorder=3)


def _floors(axes: Axes, items: Sequence[Sensitivity], colour: str) -> None:
    for item in items:
        if math.isfinite(item.floor.mean):
            shade = MUTED if item.deterministic else colour
            axes.axhline(item.floor.mean, color=shade, linewidth=1, linestyle=(0, (5, 3)), alpha=0.75, zorder=2)
        if math.isfinite(item.random.mean):
            axes.axhline(item.random.mean, color=colour, linewidth=1, linestyle=(0, (1, 2)), alpha=0.9, zorder=2)


def _legend_width(curves: Curves) -> int:
    return sum(len(shortened(metric, 24)) + 6 for metric in curves.metrics) + 46


def _legend(figure: Figure, curves: Curves) -> None:
    from matplotlib.lines import Line2D  # noqa: PLC0415

    common: dict[str, Any] = {"linewidth": 1.6, "markersize": 5.5}
    handles = [
        Line2D([], [], color=colour, marker=marker, label=shortened(printable(metric), 24), **common)
        for metric, colour, marker in cycled(curves.metrics)
    ]
    handles.append(Line2D([], [], color=MUTED, linestyle=(0, (5, 3)), linewidth=1, label="rerun (floor)"))
    handles.append(Line2D([], [], color=MUTED, linestyle=(0, (1, 2)), linewidth=1, label="random map"))
    if any(map(_has_chance, curves.values)):
        look: dict[str, Any] = {"marker": "_", "markersize": 13, "markeredgewidth": 1.4, "linestyle": "none"}
        handles.append(Line2D([], [], color=MUTED, label="chance", **look))
    labels = [str(handle.get_label()) for handle in handles]
    columns = max(1, min(len(labels), 110 // (max(map(len, labels)) + 6)))
    figure.legend(handles, labels, loc="upper left", ncols=columns, borderaxespad=0, handlelength=2.4)
