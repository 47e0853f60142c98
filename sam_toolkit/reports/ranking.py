"""Orders what was varied by how far it moves the map."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from sam_toolkit.study.findings import Interval
from sam_toolkit.study.results import Results, Sensitivity
from sam_toolkit.study.statistics import interval


@dataclass(frozen=True)
class Knob:
    """One factor of one experiment for one model: what a user can turn.

    Attributes:
        name: the method, told apart where several experiments have it.
        default: the value that the others are compared with.
        by_metric: its sensitivity by each metric.
    """

    model: str
    experiment: int
    name: str
    along: str
    factor: str
    default: str
    by_metric: Mapping[str, Sensitivity]

    @property
    def place(self) -> tuple[int, str]:
        """Return what is the same for all models: experiment and factor."""
        return self.experiment, self.factor

    @property
    def index(self) -> float:
        """Return the median over metrics of the sensitivity index; NaN where none is defined."""
        return middle(item.index.mean for item in self.by_metric.values())

    @property
    def values(self) -> tuple[str, ...]:
        """Return the values that are compared with the reference."""
        return next(iter(self.by_metric.values())).values


def middle(values: Iterable[float]) -> float:
    """Return the median of the numbers that are defined; NaN where there are none."""
    defined = [value for value in values if math.isfinite(value)]
    return median(defined) if defined else math.nan


def method_names(results: Results) -> dict[int, str]:
    """Return each experiment's method, with "entry 2" where another experiment has the same method."""
    counts = Counter(experiment.method for experiment in results.experiments)
    seen: Counter[str] = Counter()
    names = {}
    for experiment in results.experiments:
        seen[experiment.method] += 1
        several = counts[experiment.method] > 1
        names[experiment.index] = (
            f"{experiment.method} (entry {seen[experiment.method]})" if several else experiment.method
        )
    return names


def ranking(results: Results, along: str, metric: str | None = None) -> list[Knob]:
    """Return the knobs of a comparison, the one that moves the map most first, undefined ones last.

    Ranked by `metric`, or by the median over metrics.
    """
    names = method_names(results)
    found: dict[tuple[str, int, str], dict[str, Sensitivity]] = {}
    for item in results.sensitivities:
        if item.along == along:
            found.setdefault((item.model, item.experiment, item.factor), {})[item.metric] = item
    defaults = {item.index: item.defaults for item in results.experiments if along == "settings"}
    knobs = []
    for (model, experiment, factor), items in found.items():
        first = next(iter(items.values()))
        default = defaults.get(experiment, {}).get(factor, first.reference)
        knobs.append(Knob(model, experiment, names.get(experiment, first.method), along, factor, default, items))
    return sorted(knobs, key=lambda knob: _largest_first(knob.index if metric is None else index_by(knob, metric)))


def places(knobs: Sequence[Knob]) -> list[tuple[int, str]]:
    """Return experiments and factors in order of the median index over models."""
    found: dict[tuple[int, str], list[float]] = {}
    for knob in knobs:
        found.setdefault(knob.place, []).append(knob.index)
    return sorted(found, key=lambda place: _largest_first(middle(found[place])))


def index_by(knob: Knob, metric: str) -> float:
    """Return a knob's index by one metric; NaN where it has none."""
    return knob.by_metric[metric].index.mean if metric in knob.by_metric else math.nan


def metrics_of(knobs: Iterable[Knob]) -> list[str]:
    """Return the metrics of some knobs, in the study's order."""
    return list(dict.fromkeys(metric for knob in knobs for metric in knob.by_metric))


def lead(first: Knob, second: Knob, metric: str) -> Interval:
    """Return by how much one knob's index exceeds another's, paired by photograph."""
    ours, theirs = first.by_metric[metric].per_image, second.by_metric[metric].per_image
    return interval(np.array([ours[image] - theirs[image] for image in ours if image in theirs], dtype=np.float64))


def _largest_first(value: float) -> float:
    return -value if math.isfinite(value) else math.inf
