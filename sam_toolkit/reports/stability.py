"""What averages hide: setting by setting, each image's similarity beside the mean accuracy."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sam_toolkit.reports.drawing import COLOURS, INK, MUTED, RULE
from sam_toolkit.reports.gallery import anchor
from sam_toolkit.reports.wording import bounded, printable, shortened
from sam_toolkit.study.results import AccuracySummary, Results
from sam_toolkit.study.scores import Compared, compared
from sam_toolkit.study.statistics import Values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MANY = 200
"""Images from which a box stands for their dots."""
PANELS = 3
"""Panels of similarities, and of accuracies, at most; tables have the others."""
_WIDTH, _LABELS, _GAP, _HEAD, _FOOT, _ROW = 9.4, 1.75, 0.28, 0.52, 0.42, 0.3
"""Inches: the figure, its row labels, between panels, above and beneath them, a row."""
_SPREAD = 0.3
"""Half of a row's height over which dots are spread."""
Setting = tuple[str, str]


@dataclass(frozen=True)
class Stability:
    """What is drawn for one experiment and model.

    Attributes:
        similarities: one a panel, with the scores of the same settings.
        accuracies: by metric, the accuracy of each setting; the default's is that of None.
        anchors: ids of pictures that dots link to.
    """

    similarities: Sequence[Compared]
    accuracies: Mapping[str, Mapping[Setting | None, AccuracySummary]]
    default: str
    anchors: Collection[str] = ()

    @classmethod
    def of(cls, results: Results, experiment: int, model: str, anchors: Collection[str] = ()) -> Stability:
        """Return what the results have of an experiment and a model along its settings."""
        own = [row for row in results.rows if (row.experiment, row.model, row.along) == (experiment, model, "settings")]
        settings: dict[str, Setting | None] = {row.map: (row.factor, row.value) for row in own if row.role == "value"}
        settings |= {row.reference_map: None for row in own}
        found: dict[str, dict[Setting | None, AccuracySummary]] = {}
        for item in results.accuracies:
            if (item.experiment, item.model) == (experiment, model):
                named = [settings[key] for key in item.maps.values() if key in settings][:1]
                found.setdefault(item.metric, {}).update(dict.fromkeys(named, item))
        similarities = compared(own)[:PANELS]
        default = similarities[0].reference if similarities else ""
        return cls(similarities, dict(list(found.items())[:PANELS]), default, anchors)

    @property
    def rows(self) -> list[Setting | None]:
        """Return the settings, the default first."""
        return [None, *dict.fromkeys(setting for item in self.similarities for setting in item.values)]


def draw_stability(stability: Stability) -> Figure:
    """Return the figure: a row a setting; panels of similarities, a dot an image, then panels of mean accuracies."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - a second of import that only a report needs

    panels = len(stability.similarities) + len(stability.accuracies)
    rows = stability.rows
    height = _ROW * len(rows)
    total = _HEAD + height + _FOOT
    figure = Figure(figsize=(_WIDTH, total))
    width = (_WIDTH - _LABELS) / max(2, panels) - _GAP
    for place in range(panels):
        left = _LABELS + place * (width + _GAP)
        axes = figure.add_axes((left / _WIDTH, _FOOT / total, width / _WIDTH, height / total))
        axes.set(ylim=(len(rows) - 0.5, -0.5), yticks=[])
        axes.spines["left"].set_visible(False)
        for line in range(1, len(rows)):
            axes.axhline(line - 0.5, color=RULE, linewidth=0.6, zorder=0)
        _panel(axes, stability, place)
        if place == 0:
            _row_labels(axes, stability)
    return figure


def _panel(axes: Axes, stability: Stability, place: int) -> None:
    similarities = stability.similarities
    if place < len(similarities):
        axes.set_title(f"{_short(similarities[place].metric)}\nof each image", fontsize=8.5)
        _similarity(axes, stability, similarities[place])
    else:
        metric, scores = list(stability.accuracies.items())[place - len(similarities)]
        better = "higher" if next(iter(scores.values())).higher_is_better else "lower"
        axes.set_title(f"{_short(metric)}, mean\n{better} is better", fontsize=8.5)
        _accuracy(axes, stability.rows, scores)


def _short(metric: str) -> str:
    return shortened(printable(metric), 16)


def _similarity(axes: Axes, stability: Stability, item: Compared) -> None:
    finite = item.scores[np.isfinite(item.scores)]
    axes.set_xlim(min([0.0, *finite]) - 0.04, 1.04)
    random = item.random[np.isfinite(item.random)]
    if random.size:
        axes.axvline(float(random.mean()), color=MUTED, linewidth=1, linestyle=(0, (1, 2)), zorder=1)
    for line, setting in enumerate(stability.rows):
        if setting is None:
            _cloud(axes, item.floor, line, MUTED)
        elif setting in item.values:
            links = [_link(stability, item, setting, image) for image in item.images]
            _cloud(axes, item.values[setting], line, COLOURS[0], links)


def _link(stability: Stability, item: Compared, setting: Setting, image: str) -> str | None:
    name = anchor((item.model, item.experiment, item.along, *setting, image))
    return f"#{name}" if name in stability.anchors else None


def _cloud(axes: Axes, scores: Values, line: int, colour: str, links: Sequence[str | None] = ()) -> None:
    """Draw a dot an image, or a box where there are many, and a stroke at their mean."""
    defined = np.isfinite(scores)
    if not defined.any():
        axes.text(0.5, line, "undefined", color=MUTED, ha="center", va="center", fontsize=8, style="italic")
        return
    if len(scores) > MANY:
        low, first, third, high = np.quantile(scores[defined], [0.05, 0.25, 0.75, 0.95])
        axes.plot([low, high], [line, line], color=colour, linewidth=1, zorder=2)
        axes.plot([first, third], [line, line], color=colour, linewidth=7, alpha=0.45, solid_capstyle="butt", zorder=2)
    else:
        # The golden ratio spreads any number of dots evenly, the same in every row and on every run.
        heights = line + _SPREAD * (2 * (np.arange(len(scores)) * 0.6180339887 % 1) - 1)
        dots = axes.scatter(scores, heights, s=11, color=colour, alpha=0.55, linewidths=0, zorder=3)
        if any(links):
            dots.set_urls(list(links))
    mean = float(scores[defined].mean())
    axes.plot([mean, mean], [line - 0.38, line + 0.38], color=INK, linewidth=1.8, zorder=4)


def _accuracy(axes: Axes, rows: list[Setting | None], scores: Mapping[Setting | None, AccuracySummary]) -> None:
    found = [scores[setting].score for setting in rows if setting in scores]
    ends = [value for item in found for value in (item.low, item.mean, item.high) if math.isfinite(value)]
    axes.set_xlim(min([0.0, *ends]) - 0.04, max([1.0, *ends]) + 0.04)
    for line, setting in enumerate(rows):
        if setting in scores:
            item = scores[setting].score
            if bounded(item):
                axes.plot([item.low, item.high], [line, line], color=COLOURS[1], linewidth=2.4, zorder=3)
            axes.plot([item.mean], [line], "D", color=COLOURS[1], markersize=5, zorder=4)


def _row_labels(axes: Axes, stability: Stability) -> None:
    left = -(_LABELS - 0.02) / (axes.get_position().width * _WIDTH)
    for line, label in enumerate(_labels(stability)):
        axes.text(
            left, line, shortened(printable(label), 27), transform=axes.get_yaxis_transform(), va="center",
            fontsize=8, color=MUTED if line == 0 else INK, weight="bold" if line == 0 else "normal",
        )  # fmt: skip


def _labels(stability: Stability) -> Iterator[str]:
    drawn = any(not item.deterministic for item in stability.similarities)
    yield "default, reruns" if drawn else "default"
    yield from (f"{setting[0]}={setting[1]}" for setting in stability.rows if setting)
