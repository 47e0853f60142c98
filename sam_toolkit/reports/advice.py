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
    names = method_names(results)
    several = len(results.models) > 1
    for item in results.findings.advice:
        if item.experiment == experiment:
            where = f"With {item.model}: " if several else ""
            yield f"{where}{_sentence(item, names.get(experiment, item.method))} ({_certainty(item)}).{_more(item)}"


def _sentence(item: Advice, name: str) -> str:
    way = f"{number(item.moved)} of the way from an equal map to a random one"
    if item.kind == "reruns":
        if item.moved <= item.tolerance:
            return f"another seed leaves the map of {name} where it is, and moves it by {way}"
        return f"another seed alone moves the map of {name} by {way}: draw more, or show the maps of several seeds"
    if item.kind == "steady":
        return f"{_steady(item)}; no value among them moves it by more than {way}"
    near = f"neither neighbour of {item.reference}" if item.ends == "inside" else f"no neighbour of {item.reference}"
    none = near if item.ends else f"no value but {item.reference}"
    return (
        f"`{item.factor}`: {none} leaves the map where it is, the nearest moves it by {way}; say which value was used"
    )


def _steady(item: Advice) -> str:
    others = [value for value in item.values if value != item.reference]
    if not item.ends:
        return (
            f"`{item.factor}`: {listed(others)} leave{'s' if len(others) == 1 else ''} the map as at {item.reference}"
        )
    first, last = item.values[0], item.values[-1]
    if item.ends == "largest":
        return f"`{item.factor}`: from {first} on the map has stopped moving, as far as {last}, the largest value tried"
    if item.ends == "smallest":
        return f"`{item.factor}`: up to {last} the map stays as at {first}, the smallest value tried"
    return f"`{item.factor}`: from {first} to {last} the map stays as at {item.reference}"


def _certainty(item: Advice) -> str:
    images = counted(item.count, "image")
    if not math.isfinite(item.certainty):
        return f"how sure that is, {images} cannot tell: {LEAST} needed"
    return f"holds in {100 * item.certainty:.0f} % of bootstrap draws of {images}, by every metric"


def _more(item: Advice) -> str:
    """Return what the study cannot tell, where its default stands at the lower end of an axis."""
    if item.kind != "moving" or item.ends != "smallest":
        return ""
    return " Whether it settles at larger values, a study whose default is the largest would tell."
