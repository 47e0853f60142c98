"""What stands on the page, in order; the template only lays it out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sam_toolkit.reports.advice import advice
from sam_toolkit.reports.bounds import BoundTable, bound_tables
from sam_toolkit.reports.curves import CHANCE
from sam_toolkit.reports.drawing import svg
from sam_toolkit.reports.figures import similarity_figure, stability_figure, verdict_figure
from sam_toolkit.reports.forest import ROWS, Forest
from sam_toolkit.reports.gallery import Gallery, Plate
from sam_toolkit.reports.plates import SummaryPlate, summary_plates
from sam_toolkit.reports.ranking import Knob, method_names, metrics_of, places, ranking
from sam_toolkit.reports.verdict import Verdict, verdicts
from sam_toolkit.reports.wording import bounded, capital, counted, listed, number, slug
from sam_toolkit.study.findings import Agreement, Interval, PairedTest, Rank
from sam_toolkit.study.results import AccuracySummary, Experiment, Results, Sensitivity, ValueSummary

_LEVEL = 0.05
"""Level of the tests: all differences of one sign give 2^(1 - images), the smallest p that there is."""
_SCROLLED = 6
"""Experiments on one page; where there are more, each is shown as a page of its own to begin with."""

ALONG = {"settings": "Hyperparameters", "inputs": "Changes of the input", "models": "Changes of the model"}


@dataclass(frozen=True)
class Chapter:
    """The verdict of one comparison: sentences, picture and ranking."""

    title: str
    verdict: Verdict
    figure: str
    caption: str
    metrics: list[str]
    knobs: list[Knob]
    ranks: dict[tuple[str, int, str], Rank]
    agreements: tuple[Agreement, ...]


@dataclass(frozen=True)
class Curve:
    """One model's similarity along the values of an experiment's factors: picture and table."""

    model: str
    figure: str
    metrics: list[str]
    factors: tuple[Factor, ...]


@dataclass(frozen=True)
class Factor:
    """A block of the table: a value a line, a metric a column; then index, floor and random by metric."""

    name: str
    along: str
    reference: str
    values: dict[str, dict[str, ValueSummary]]
    sensitivity: dict[str, Sensitivity]


@dataclass(frozen=True)
class Accuracy:
    """One model's accuracies: a setting a line, a metric a column."""

    model: str
    metrics: dict[str, bool]
    settings: dict[str, dict[str, AccuracySummary]]

    @property
    def intervals(self) -> bool:
        """Return whether a score has an interval."""
        return any(bounded(item.score) for row in self.settings.values() for item in row.values())

    def span(self, metric: str) -> str:
        """Return the smallest and largest mean over settings."""
        means = [row[metric].score.mean for row in self.settings.values() if metric in row]
        defined = [mean for mean in means if math.isfinite(mean)]
        return f"{number(min(defined))} to {number(max(defined))}" if defined else number(math.nan)


@dataclass(frozen=True)
class Section:
    """Everything about one method entry of the study; its title tells it from other entries of the method."""

    title: str
    experiment: Experiment
    advice: tuple[str, ...]
    curves: tuple[Curve, ...]
    stabilities: dict[str, str]
    accuracies: tuple[Accuracy, ...]
    agreements: tuple[Agreement, ...]
    tests: tuple[PairedTest, ...]
    bounds: tuple[BoundTable, ...]
    plates: tuple[Plate, ...]

    @property
    def signed(self) -> bool:
        """Return whether a map of it has evidence against its target."""
        return any(panel.signed for plate in self.plates for panel in plate.panels)


@dataclass(frozen=True)
class Page:
    """The whole report."""

    results: Results
    facts: str
    chapters: tuple[Chapter, ...]
    plates: tuple[SummaryPlate, ...]
    sections: tuple[Section, ...]
    gallery: Gallery
    metrics: list[str]
    intervals: bool
    tests: int
    tests_can_tell: bool
    inputs: dict[tuple[str, str], dict[str, Interval]]

    @property
    def long(self) -> bool:
        """Return whether it has more parts than one scrolls through."""
        return len(self.sections) > _SCROLLED


def page_of(results: Results) -> Page:
    """Return the page of a study's results."""
    gallery = Gallery.of(results)
    tests = sum(math.isfinite(item.p) for item in results.findings.tests)
    return Page(
        results=results,
        facts=_facts(results),
        chapters=tuple(_chapter(results, verdict) for verdict in verdicts(results)),
        plates=tuple(summary_plates(results, gallery)),
        sections=tuple(_section(results, experiment, gallery) for experiment in results.experiments),
        gallery=gallery,
        metrics=_metrics(results.values),
        intervals=any(bounded(item.similarity) for item in results.values),
        tests=tests,
        tests_can_tell=tests * 2.0 ** (1 - len(results.images)) <= _LEVEL,
        inputs=_inputs(results),
    )


def _inputs(results: Results) -> dict[tuple[str, str], dict[str, Interval]]:
    """Return what is said of each model's changed images, by model and input."""
    told: dict[tuple[str, str], dict[str, Interval]] = {}
    for item in results.inputs:
        told.setdefault((item.model, item.input), {})[item.says] = item.value
    return told


def interval_text(interval: Interval) -> str:
    """Return "0.33 to 0.52", or why there is no interval, for a tip over a number."""
    undefined = f"; undefined for {counted(interval.undefined, 'image')}" if interval.undefined else ""
    return f"{interval.how}{undefined}"


def bracket(interval: Interval) -> str:
    """Return "[0.33, 0.52]", or nothing where there is no interval."""
    several = bounded(interval) and interval.low < interval.high
    return f"[{number(interval.low)}, {number(interval.high)}]" if several else ""


def extras_text(item: ValueSummary) -> str:
    """Return "chance 0.02 · corrected 0.43": what the metric says beside a similarity; a dash for what is undefined.

    A chance level of 0 is left out, as is the correction, which then changes nothing.
    """
    idle = () if item.extras.get(CHANCE) else (CHANCE, "corrected")
    shown = {name: number(value) for name, value in item.extras.items() if name not in idle}
    return " · ".join(f"{name.replace('_', ' ')} {text}" for name, text in shown.items())


def _facts(results: Results) -> str:
    pairs = sum(row.role == "value" for row in results.rows)
    methods = len({experiment.method for experiment in results.experiments})
    parts = (
        counted(len(results.models), "model"), counted(len(results.images), "image"), counted(methods, "method"),
        counted(len(_metrics(results.values)), "similarity metric"), counted(pairs, "comparison") + " of maps",
    )  # fmt: skip
    return " · ".join(parts)


def _metrics(values: Sequence[ValueSummary]) -> list[str]:
    return list(dict.fromkeys(item.metric for item in values))


def _chapter(results: Results, verdict: Verdict) -> Chapter:
    knobs = ranking(results, verdict.along)
    metrics = metrics_of(knobs)
    title = ALONG.get(verdict.along, capital(verdict.along))
    alt = f"{title}: sensitivity index by {listed(metrics)}; the table beneath has the numbers."
    figure = svg(verdict_figure(results, verdict.along), f"verdict-{slug(verdict.along)}-", alt)
    ranks = {
        (item.model, item.experiment, item.factor): item
        for item in results.findings.ranks
        if item.along == verdict.along and not item.metric
    }
    agreements = [item for item in results.findings.agreements if item.along == verdict.along]
    together = {item.model for item in agreements if item.experiment is None}
    kept = tuple(item for item in agreements if item.experiment is None or item.model not in together)
    return Chapter(title, verdict, figure, _caption(results, knobs), metrics, knobs, ranks, kept)


def _caption(results: Results, knobs: list[Knob]) -> str:
    parts = ["The mark is the mean over images"]
    intervals = [item.index for knob in knobs for item in knob.by_metric.values()]
    if any(bounded(each) for each in intervals):
        parts.append(", the bar its 95 % confidence interval (bootstrap over images)")
    if Forest(knobs, results.models).strokes:
        parts.append(", each thin stroke an image; strokes at the border may lie beyond it")
    rows = len(places(knobs))
    parts.append(f". The {ROWS} largest of {rows} are drawn." if rows > ROWS else ".")
    return "".join(parts)


def _section(results: Results, experiment: Experiment, gallery: Gallery) -> Section:
    name = method_names(results)[experiment.index]
    return Section(
        experiment.title.replace(experiment.method, name, 1),
        experiment,
        tuple(advice(results, experiment.index)),
        tuple(_curves(results, experiment)),
        dict(_stabilities(results, experiment, gallery)),
        tuple(_accuracies(results, experiment)),
        tuple(item for item in results.findings.agreements if item.experiment == experiment.index),
        tuple(item for item in results.findings.tests if item.experiment == experiment.index),
        tuple(bound_tables([item for item in results.bounds if item.experiment == experiment.index])),
        tuple(gallery.plates(results, experiment.index)),
    )


def _curves(results: Results, experiment: Experiment) -> Iterator[Curve]:
    for place, model in enumerate(results.models):
        own = [item for item in results.values if (item.model, item.experiment) == (model, experiment.index)]
        if own:
            alt = f"Similarity of the maps of {experiment.method} on {model} at each value; numbers in the table."
            figure = similarity_figure(results, experiment.index, model)
            prefix = f"curve-{experiment.index}-{place}-"
            yield Curve(model, svg(figure, prefix, alt), _metrics(own), tuple(_factors(results, experiment, own)))


def _stabilities(results: Results, experiment: Experiment, gallery: Gallery) -> Iterator[tuple[str, str]]:
    """Yield each model with the figure in which averages hide instability."""
    for place, model in enumerate(results.models):
        place_of = (model, experiment.index, "settings")
        if any((item.model, item.experiment, item.along) == place_of for item in results.values):
            figure = stability_figure(results, experiment.index, model, gallery.anchors)
            alt = f"{experiment.method} on {model}: similarity of each image, and mean accuracy, at each setting."
            yield model, svg(figure, f"stability-{experiment.index}-{place}-", alt)


def _factors(results: Results, experiment: Experiment, own: list[ValueSummary]) -> Iterator[Factor]:
    for along, name in dict.fromkeys((item.along, item.factor) for item in own):
        values: dict[str, dict[str, ValueSummary]] = {}
        for item in own:
            if (item.along, item.factor) == (along, name):
                values.setdefault(item.value, {})[item.metric] = item
        where = (own[0].model, experiment.index, along, name)
        found = [
            item for item in results.sensitivities if (item.model, item.experiment, item.along, item.factor) == where
        ]
        same = next(item for item in own if (item.along, item.factor) == (along, name))
        reference = experiment.defaults.get(name, same.reference) if along == "settings" else same.reference
        yield Factor(name, along, reference, values, {item.metric: item for item in found})


def _accuracies(results: Results, experiment: Experiment) -> Iterator[Accuracy]:
    for model in results.models:
        own = [item for item in results.accuracies if (item.model, item.experiment) == (model, experiment.index)]
        settings: dict[str, dict[str, AccuracySummary]] = {}
        for item in own:
            settings.setdefault(item.setting, {})[item.metric] = item
        if own:
            yield Accuracy(model, {item.metric: item.higher_is_better for item in own}, settings)
