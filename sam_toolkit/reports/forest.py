"""The verdict's picture: how far each factor moves the map, by every metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sam_toolkit.reports.drawing import INK, MUTED, RULE, cycled
from sam_toolkit.reports.ranking import Knob, metrics_of, places
from sam_toolkit.reports.wording import bounded, number, printable, shortened
from sam_toolkit.study.results import Sensitivity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = 30
"""Factors that are drawn at most; a table has the others."""
STROKES = 60
"""Photographs times models up to which each photograph has a stroke."""
_WIDTH, _LABELS, _GAP, _HEAD, _FOOT = 9.4, 1.95, 0.58, 0.36, 0.5
"""Inches: the figure, its row labels, between panels, above and beneath them."""
_PANELS = 3
"""Panels side by side."""
_BEYOND = (-0.6, 1.6)
"""Limits of an axis, whatever the numbers."""


@dataclass(frozen=True)
class Forest:
    """What is drawn: knobs in order of rank, and the study's models, which the colours stand for."""

    knobs: Sequence[Knob]
    models: Sequence[str]

    @property
    def rows(self) -> list[tuple[int, str]]:
        """Return the factors drawn, the first on top; the order of one model is its own."""
        return places(self.knobs)[:ROWS]

    @property
    def shown(self) -> list[str]:
        """Return the models that have a result."""
        return [model for model in self.models if any(knob.model == model for knob in self.knobs)]

    @property
    def strokes(self) -> bool:
        """Return whether there is room for a stroke a photograph."""
        images = max((len(item.per_image) for knob in self.knobs for item in knob.by_metric.values()), default=0)
        return images * len(self.shown) <= STROKES


def draw_forest(forest: Forest) -> Figure:
    """Return the figure: a panel a metric, a row a factor, a mark a model."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - a second of import that only a report needs

    metrics = metrics_of(forest.knobs)
    lines = [metrics[start : start + _PANELS] for start in range(0, len(metrics), _PANELS)]
    height = max(1, len(forest.rows)) * _row_height(forest)
    legend = 0.3 if len(forest.shown) > 1 else 0.0
    total = legend + len(lines) * (height + _HEAD + _FOOT)
    figure = Figure(figsize=(_WIDTH, total))
    width = (_WIDTH - _LABELS) / min(_PANELS, max(1, len(metrics))) - _GAP
    limits = _limits(forest.knobs)
    for line, group in enumerate(lines):
        bottom = total - legend - (line + 1) * (height + _HEAD + _FOOT) + _FOOT
        for column, metric in enumerate(group):
            left = _LABELS + column * (width + _GAP)
            axes = figure.add_axes((left / _WIDTH, bottom / total, width / _WIDTH, height / total))
            _panel(axes, forest, metric, limits)
            if column == 0:
                _row_labels(axes, forest)
    if legend:
        _legend(figure, forest)
    return figure


def _row_height(forest: Forest) -> float:
    return max(0.4, 0.14 * len(forest.shown) + 0.16)


def _limits(knobs: Sequence[Knob]) -> tuple[float, float]:
    intervals = [item.index for knob in knobs for item in knob.by_metric.values()]
    found = [value for each in intervals for value in (each.mean, each.low, each.high) if math.isfinite(value)]
    low, high = min([0.0, *found]) - 0.07, max([1.0, *found]) + 0.07
    return max(low, _BEYOND[0]), min(high, _BEYOND[1])


def _panel(axes: Axes, forest: Forest, metric: str, limits: tuple[float, float]) -> None:
    rows = forest.rows
    axes.set(xlim=limits, ylim=(len(rows) - 0.5, -0.5), yticks=[], title=shortened(printable(metric), 30))
    axes.set_xticks([0, 0.5, 1], ["0\nrerun", "0.5", "1\nnoise"])
    axes.spines["left"].set_visible(False)
    for place in range(1, len(rows)):
        axes.axhline(place - 0.5, color=RULE, linewidth=0.6, zorder=0)
    for value, style in ((0, "-"), (1, (0, (4, 3)))):
        axes.axvline(value, color=MUTED, linewidth=0.9, linestyle=style, zorder=1)
    step = 0.7 / max(1, len(forest.shown))
    for place, (model, colour, marker) in enumerate(cycled(forest.shown)):
        for knob in forest.knobs:
            if knob.model == model and knob.place in rows and metric in knob.by_metric:
                height = rows.index(knob.place) + (place - (len(forest.shown) - 1) / 2) * step
                if forest.strokes:
                    _strokes(axes, knob.by_metric[metric], height, colour)
                _mark(axes, knob.by_metric[metric], height, colour, marker)
                if len(forest.shown) == 1:
                    _written(axes, knob.by_metric[metric], height)


def _strokes(axes: Axes, item: Sensitivity, height: float, colour: str) -> None:
    images = np.array([value for value in item.per_image.values() if math.isfinite(value)])
    at = images.clip(*axes.get_xlim())
    axes.plot(at, np.full(len(at), height), "|", color=colour, alpha=0.35, markersize=9, zorder=2)


def _mark(axes: Axes, item: Sensitivity, height: float, colour: str, marker: str) -> None:
    low, high = axes.get_xlim()
    if bounded(item.index):
        ends = np.clip([item.index.low, item.index.high], low, high)
        axes.plot(ends, [height, height], color=colour, linewidth=2.6, solid_capstyle="round", zorder=3)
    if math.isfinite(item.index.mean):
        shape = "<" if item.index.mean < low else ">" if item.index.mean > high else marker
        at = np.clip(item.index.mean, low, high)
        axes.plot([at], [height], shape, color=colour, markersize=6, zorder=4, clip_on=False)
    else:
        axes.text(0.5, height, "undefined", color=MUTED, ha="center", va="center", fontsize=8, style="italic")


def _written(axes: Axes, item: Sensitivity, height: float) -> None:
    axes.text(1.03, height, number(item.index.mean), transform=axes.get_yaxis_transform(), va="center", fontsize=8.5)


def _row_labels(axes: Axes, forest: Forest) -> None:
    names = {knob.place: knob.name for knob in forest.knobs}
    transform = axes.get_yaxis_transform()
    width = axes.get_position().width * _WIDTH
    for height, place in enumerate(forest.rows):
        left = -(_LABELS - 0.02) / width
        label = shortened(printable(place[1]), 27)
        axes.text(left, height, label + "\n", transform=transform, va="center", weight="bold", color=INK)
        below = shortened(printable(names[place]), 32)
        axes.text(left, height, "\n" + below, transform=transform, va="center", fontsize=8, color=MUTED)


def _legend(figure: Figure, forest: Forest) -> None:
    from matplotlib.lines import Line2D  # noqa: PLC0415

    handles = [
        Line2D([], [], color=colour, marker=marker, label=shortened(printable(model), 24), markersize=6, linewidth=2)
        for model, colour, marker in cycled(forest.shown)
    ]
    labels = [str(handle.get_label()) for handle in handles]
    figure.legend(handles, labels, loc="upper left", ncols=max(1, min(len(labels), 140 // (max(map(len, labels)) + 5))))
