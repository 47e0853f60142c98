"""Advice that follows from the numbers, in sentences, each with how sure it is."""

from __future__ import annotations

import math
from collections.abc import Iterator

from sam_toolkit.reports.ranking import method_names
from sam_toolkit.reports.wording import counted, listed, number
from sam_toolkit.study.findings import Advice
from sam_toolkit.study.results import Results
from sam_toolkit.study.statistics import LEAST


def advice(results: Results, experiment: int) -> Iterator[str]:
    """Yield a sentence for each piece of advice on an experiment."""
    name = method_names(results).get(experiment, "")
    own = [item for item in results.findings.advice if item.experiment == experiment]
    answered = {(item.model, item.factor) for item in own if item.ends == "largest"}
    for item in own:
        where = f"With {item.model}: " if len(results.models) > 1 else ""
        more = _more(item, (item.model, item.factor) in answered)
        yield f"{where}{_sentence(item, name)} ({_certainty(item)}).{more}"


def _sentence(item: Advice, name: str) -> str:
    moved = number(item.moved)
    if item.kind == "reruns":
        if item.moved <= item.tolerance:
            return f"another seed leaves the map of {name} where it is, within {moved}"
        return f"another seed alone moves the map of {name} by {moved}: draw more, or show the maps of several seeds"
    if item.kind == "steady":
        return f"`{item.factor}`: {_steady(item)}, within {moved}"
    if item.ends == "largest":
        return (
            f"`{item.factor}`: not settled at {item.reference}, the largest value tried; the next moves the map {moved}"
        )
    if not item.ends:
        return (
            f"`{item.factor}`: every other value moves the map from where it is at {item.reference}, by {moved} or more"
        )
    return (
        f"`{item.factor}`: the map does not stay as at {item.reference}; the values beside it move it {moved} or more"
    )


def _steady(item: Advice) -> str:
    others = [value for value in item.values if value != item.reference]
    if not item.ends:
        return f"{listed(others)} leave{'s' if len(others) == 1 else ''} the map as at {item.reference}"
    first, last = item.values[0], item.values[-1]
    if item.ends == "largest":
        return f"from {first} on the map stays as at {last}, the largest value tried"
    if item.ends == "smallest":
        return f"up to {last} the map stays as at {first}, the smallest value tried"
    return f"from {first} to {last} the map stays as at {item.reference}"


def _certainty(item: Advice) -> str:
    images = counted(item.count, "image")
    if not math.isfinite(item.certainty):
        return f"how sure, {images} cannot tell: {LEAST} needed"
    return f"{100 * item.certainty:.0f} % of draws of {images}"


def _more(item: Advice, answered: bool) -> str:
    """Return what a reader must know beside: a seed that moves the map further, or what the study leaves open."""
    if item.kind == "steady" and item.reruns > max(item.moved, item.tolerance):
        return (
            f" That is no sign of convergence: another seed moves the default's map by {number(item.reruns)}, "
            "further than these values, which may share their draws."
        )
    if item.kind == "moving" and item.ends == "smallest" and not answered:
        return " Whether it settles at larger values, comparing all pairs or a default at the largest would tell."
    return ""
