"""The figures of a report, each usable on its own."""

from __future__ import annotations

import io
from collections.abc import Collection
from textwrap import wrap
from typing import TYPE_CHECKING

from sam_toolkit.reports.curves import Curves, draw_curves
from sam_toolkit.reports.drawing import INK, MUTED, any_alphabet, bare, styled
from sam_toolkit.reports.forest import Forest, draw_forest
from sam_toolkit.reports.pictures import overlay, photograph
from sam_toolkit.reports.ranking import ranking
from sam_toolkit.reports.stability import Stability, draw_stability
from sam_toolkit.reports.wording import printable, shortened
from sam_toolkit.study.results import Results, Sensitivity, Strip, ValueSummary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CELL, _LINE = 1.55, 0.15
"""A picture's side and the height of a line of its label in inches."""
_LETTERS = 24
"""Letters of a line."""


@styled
def verdict_figure(results: Results, along: str = "settings", metric: str | None = None) -> Figure:
    """Return a panel a metric with the sensitivity index of every factor: mean, interval and photographs.

    The factors stand in order of `metric`, or of the median over metrics, the one that moves the map most on top.
    """
    return draw_forest(Forest(ranking(results, along, metric), results.models))


@styled
def similarity_figure(results: Results, experiment: int, model: str, along: str | None = None) -> Figure:
    """Return a panel a factor with the similarity to the reference at each value, one line a metric.

    Factors of all comparisons are drawn, or of `along` alone.

    Bands and bars are confidence intervals; the floor of reruns and the level of random maps are drawn where they lie.
    """

    def wanted(item: ValueSummary | Sensitivity) -> bool:
        return (item.experiment, item.model) == (experiment, model) and along in (None, item.along)

    defaults = next((item.defaults for item in results.experiments if item.index == experiment), {})
    return draw_curves(
        Curves(tuple(filter(wanted, results.values)), tuple(filter(wanted, results.sensitivities)), defaults)
    )


@styled
def stability_figure(results: Results, experiment: int, model: str, anchors: Collection[str] = ()) -> Figure:
    """Return each image's similarity to the default, setting by setting, beside the settings' mean accuracies.

    Means of accuracy that hardly differ, beside similarities that scatter far, are what averages hide. Dots link to
    the pictures on the page that are in `anchors`.
    """
    return draw_stability(Stability.of(results, experiment, model, anchors))


def strip_png(strip: Strip, dpi: int = 144) -> bytes:
    """Return a photograph and its maps side by side, labelled, as a PNG with a white ground."""
    buffer = io.BytesIO()
    with any_alphabet():
        _strip_figure(strip).savefig(buffer, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


@styled
def _strip_figure(strip: Strip) -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415 - a second of import that only a report needs

    pictures = [photograph(strip.photo), *(overlay(strip.photo, item, strip.signed) for item in strip.maps)]
    named = [
        label if place == 0 or "=" in label else f"{strip.factor}={label}" for place, label in enumerate(strip.labels)
    ]
    labels = [wrap(shortened(printable(label), 2 * _LETTERS - 8), _LETTERS) for label in (strip.target, *named)]
    foot = _LINE * (1 + max(map(len, labels)))
    width, height = _CELL * len(pictures), _CELL + foot
    figure = Figure(figsize=(width, height))
    for place, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        axes = figure.add_axes(
            (place / len(pictures) + 0.02 / width, foot / height, (_CELL - 0.04) / width, _CELL / height)
        )
        axes.imshow(picture)
        bare(axes)
        axes.set_xlabel("\n".join(label), fontsize=8, color=MUTED if place == 0 else INK, labelpad=5)
    return figure
