"""What a study found, in sentences: the one place where they are worded.

A name that a study file would write, such as a hyperparameter, stands in `backquotes`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sam_toolkit.reports.ranking import Knob, index_by, lead, metrics_of, ranking
from sam_toolkit.reports.wording import bounded, capital, counted, listed, measured, number
from sam_toolkit.study.findings import Interval
from sam_toolkit.study.results import Results
from sam_toolkit.study.statistics import LEAST

_MODELS_NAMED = 3
"""Models that get a headline each; more are counted."""
_LOW_FLOOR = 0.75
"""Similarity of reruns under which the text points it out."""
_FAR_APART = 0.25
"""Difference between metrics' indices that the text points out."""
_KINDS = {
    "settings": "hyperparameters",
    "inputs": "combinations of a method and a change of its input",
    "models": "combinations of a method and a change of its model",
}
_WHATS = {
    "settings": "The hyperparameter",
    "inputs": "The change of the input",
    "models": "The change of the model",
}


@dataclass(frozen=True)
class Verdict:
    """What was found along the settings or the inputs.

    Attributes:
        headlines: what moves the map most, one sentence a model.
        findings: one sentence a method, with numbers.
        cautions: what the numbers do not say.
    """

    along: str
    headlines: tuple[str, ...]
    findings: tuple[str, ...]
    cautions: tuple[str, ...]


def verdicts(results: Results) -> tuple[Verdict, ...]:
    """Return a verdict for each comparison of the study that has a sensitivity, settings first."""
    found = dict.fromkeys(item.along for item in results.sensitivities)
    return tuple(_verdict(results, along) for along in sorted(found, key=lambda along: along != "settings"))


def _verdict(results: Results, along: str) -> Verdict:
    knobs = ranking(results, along)
    by_model = {model: [knob for knob in knobs if knob.model == model] for model in results.models}
    by_model = {model: own for model, own in by_model.items() if own}
    return Verdict(
        along,
        tuple(_headlines(by_model, along)),
        tuple(_findings(knobs, by_model)),
        tuple(_cautions(results, by_model)),
    )


def _headlines(by_model: dict[str, list[Knob]], along: str) -> Iterator[str]:
    if len(by_model) > _MODELS_NAMED:
        yield _first_places(by_model, along)
        return
    for model, knobs in by_model.items():
        where = f"With {model}, " if len(by_model) > 1 else ""
        sentence = _headline(knobs, along)
        yield where + sentence if where else capital(sentence)


def _headline(knobs: list[Knob], along: str) -> str:
    top = knobs[0]
    if not math.isfinite(top.index):
        return "no sensitivity index is defined."
    metrics = metrics_of([top])
    spread = [index_by(top, metric) for metric in metrics if math.isfinite(index_by(top, metric))]
    how = f"index {number(top.index)} by {metrics[0]}"
    if len(metrics) > 1:
        span = f"{number(min(spread))} to {number(max(spread))}"
        how = f"index {number(top.index)}, the median of {counted(len(metrics), 'metric')} ({span})"
    count = sum(math.isfinite(knob.index) for knob in knobs)
    most = f"{' the most' if count > 1 else ''}{_no_further(top.index)}"
    doubt = " Its lead is not settled." if _is_open(knobs) else ""
    among = f"of {count} {_KINDS[_axis(along)]}, " if count > 1 else ""
    if _axis(along) == "settings":
        return f"{among}`{top.factor}` moves the map of {top.name}{most}: {how}.{doubt}"
    return f"{among}the map of {top.name} under `{top.factor}` moves{most}: {how}.{doubt}"


def _no_further(index: float) -> str:
    return ", though no further than with another seed" if index <= 0 else ""


def _is_open(knobs: list[Knob]) -> bool:
    """Return whether a second knob may move the map as far as the first, whatever the metric."""
    first, *others = [knob for knob in knobs if math.isfinite(knob.index)]
    return bool(others) and not any(_leads(first, others[0], metric) for metric in metrics_of([first]))


def _what(factor: str, name: str, along: str) -> str:
    return f"the map of {name} {'with' if _axis(along) == 'settings' else 'under'} `{factor}`"


def _axis(along: str) -> str:
    """Return what two maps differ in, of "pairs of settings" the settings, of "models, from gradient" the models."""
    return along.partition(",")[0].removeprefix("pairs of ")


def _first_places(by_model: dict[str, list[Knob]], along: str) -> str:
    counts = Counter((knobs[0].factor, knobs[0].name) for knobs in by_model.values() if math.isfinite(knobs[0].index))
    if not counts:
        return "No sensitivity index is defined."
    if len(counts) == 1 and counts.total() == len(by_model):
        ((factor, name),) = counts
        return f"With all {len(by_model)} models, {_what(factor, name, along)} moves the most."
    firsts = [f"`{factor}` of {name} with {counted(count, 'model')}" for (factor, name), count in counts.most_common(3)]
    rest = len(counts) - len(firsts)
    more = [f"{rest} others with the rest"] if rest else []
    what = _WHATS[_axis(along)]
    return f"{what} that moves a map the most, of {len(by_model)} models: {listed([*firsts, *more])}."


def _findings(knobs: list[Knob], by_model: dict[str, list[Knob]]) -> Iterator[str]:
    """Yield what moves each method; nothing where no method had a choice."""
    if len({knob.place for knob in knobs}) == len({knob.experiment for knob in knobs}):
        return
    for experiment in sorted(dict.fromkeys(knob.experiment for knob in knobs)):
        own = {model: [knob for knob in group if knob.experiment == experiment] for model, group in by_model.items()}
        yield _finding({model: group for model, group in own.items() if group})


def _finding(by_model: dict[str, list[Knob]]) -> str:
    name = next(iter(by_model.values()))[0].name
    tops = {model: group[0] for model, group in by_model.items() if math.isfinite(group[0].index)}
    if not tops:
        return f"{name}: no index is defined."
    most = " most" if max(len(group) for group in by_model.values()) > 1 else ""
    weak = _no_further(max(top.index for top in tops.values()))
    if len(by_model) == 1:
        (top,) = tops.values()
        return f"{name} moves{most} with `{top.factor}`{weak}: index {_by_metric(top)}."
    factors = dict.fromkeys(top.factor for top in tops.values())
    parts = []
    for factor in factors:
        models = [f"{number(top.index)} on {model}" for model, top in tops.items() if top.factor == factor]
        parts.append(f"with `{factor}` ({_median(by_model)} {listed(models)})")
    return f"{name} moves{most} {'; '.join(parts)}{weak}."


def _median(by_model: dict[str, list[Knob]]) -> str:
    several = len(metrics_of(knob for group in by_model.values() for knob in group)) > 1
    return "median index" if several else "index"


def _by_metric(knob: Knob) -> str:
    return "; ".join(f"{measured(item.index)} by {metric}" for metric, item in knob.by_metric.items())


def _cautions(results: Results, by_model: dict[str, list[Knob]]) -> Iterator[str]:
    knobs = [knob for group in by_model.values() for knob in group]
    if not _has_intervals(knobs):
        images = max((item.index.count for knob in knobs for item in knob.by_metric.values()), default=0)
        yield (
            f"There are no confidence intervals: {counted(images, 'image')}, {LEAST} needed. "
            "The numbers and their order describe what was looked at, and say little about other images."
        )
    for model, group in by_model.items():
        where = f" with {model}" if len(by_model) > 1 else ""
        if len(by_model) <= _MODELS_NAMED:
            yield from _doubts(group, where)
    yield from _noise(knobs)
    yield from _places(knobs, len(by_model) > 1)


def _has_intervals(knobs: list[Knob]) -> bool:
    return any(bounded(item.index) for knob in knobs for item in knob.by_metric.values())


def _doubts(knobs: list[Knob], where: str) -> Iterator[str]:
    """Yield why the first place may not be what it seems."""
    defined = [knob for knob in knobs if math.isfinite(knob.index)]
    if len(defined) < 2:
        return
    first, second = defined[:2]
    metrics = metrics_of([first])
    others = [f"{_name(top)} by {metric}" for metric in metrics if (top := _top(defined, metric)).place != first.place]
    if others:
        yield f"The metrics disagree about the first place{where}: it would be {listed(others)}."
    unsettled = [metric for metric in metrics if not _leads(first, second, metric)]
    if unsettled and _has_intervals(defined):
        scope = f"by {listed(unsettled)}" if len(unsettled) < len(metrics) else "by any metric"
        yield (
            f"That {_name(first)} moves the map more than {_name(second)}{where} is not settled {scope}: "
            "the interval of their difference, image by image, includes 0 or is missing."
        )
    indices = [index_by(first, metric) for metric in metrics]
    if max(indices) - min(indices) > _FAR_APART:
        yield f"How far {_name(first)} moves the map{where} depends on what similarity means: compare the metrics."


def _top(knobs: list[Knob], metric: str) -> Knob:
    return max(knobs, key=lambda knob: value if math.isfinite(value := index_by(knob, metric)) else -math.inf)


def _leads(first: Knob, second: Knob, metric: str) -> bool:
    return metric in second.by_metric and lead(first, second, metric).low > 0


def _noise(knobs: list[Knob]) -> Iterator[str]:
    """Yield which methods move far when nothing but their seed does: their indices are read against that."""
    found: dict[str, dict[str, float]] = {}
    for knob in knobs:
        for metric, item in knob.by_metric.items():
            if item.floor.mean < _LOW_FLOOR:
                found.setdefault(knob.name, {}).setdefault(metric, item.floor.mean)
    for name, floors in found.items():
        values = listed([f"{number(floor)} by {metric}" for metric, floor in floors.items()])
        yield f"Another seed alone moves the map of {name} far: reruns have a similarity of {values}."


def _places(knobs: list[Knob], several: bool) -> Iterator[str]:
    """Yield where on the scale from a rerun to noise the intervals leave no more to say than its end."""
    ends: tuple[tuple[str, Callable[[Interval], bool]], ...] = (
        ("Moves the map less than another seed does", lambda index: index.high < 0),
        ("Not told apart from a rerun with another seed", lambda index: index.low <= 0 <= index.high),
        ("Not told apart from a random map", lambda index: index.low <= 1 <= index.high),
        ("Moves the map further apart than a random map is", lambda index: index.low > 1),
    )
    for text, holds in ends:
        found = []
        for knob in knobs:
            metrics = [m for m, item in knob.by_metric.items() if bounded(item.index) and holds(item.index)]
            if metrics:
                found.append(f"{_name(knob, several)}{_metrics(metrics, knob)}")
        if found:
            yield f"{text}: {listed(found)}."


def _metrics(metrics: Sequence[str], knob: Knob) -> str:
    return "" if len(metrics) == len(knob.by_metric) else f" by {listed(list(metrics))}"


def _name(knob: Knob, several: bool = False) -> str:
    return f"`{knob.factor}` of {knob.name}" + (f" on {knob.model}" if several else "")
