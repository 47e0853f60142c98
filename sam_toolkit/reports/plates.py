"""Two plates in the manner of the paper's first figures: maps across settings, and across inputs and models."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sam_toolkit.reports.gallery import Gallery, Picture
from sam_toolkit.reports.ranking import method_names, ranking
from sam_toolkit.study.results import Results, Strip

_LINES = 8
"""Lines of a plate at most."""


@dataclass(frozen=True)
class PlateLine:
    """A line of a plate: what it shows, and the maps at the reference and at the ends of what was tried."""

    title: str
    subtitle: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class SummaryPlate:
    """One photograph and a line of maps a method or model."""

    title: str
    caption: str
    photo: Picture
    lines: tuple[PlateLine, ...]


def summary_plates(results: Results, gallery: Gallery) -> Iterator[SummaryPlate]:
    """Yield the plate along the settings and that along the inputs, where the study has maps of them."""
    image = typical_image(results, gallery.images)
    own = [strip for strip in results.strips if strip.image == image]
    names = method_names(results)
    settings = _most_moved(results, [strip for strip in own if strip.along == "settings"])[:_LINES]
    if settings:
        yield _plate("Maps of one photograph across settings", settings, gallery, names)
    inputs = [strip for strip in own if strip.along == "inputs"]
    first = [strip for strip in inputs if strip.experiment == inputs[0].experiment][:_LINES]
    if first:
        yield _plate("Maps of one photograph, clean and changed, model by model", first, gallery, names)


def typical_image(results: Results, images: Sequence[str]) -> str:
    """Return the image whose mean index is the median of the pictured ones': neither the worst nor the best to show."""
    means = {image: _mean_index(results, image) for image in images}
    ordered = sorted((image for image in images if math.isfinite(means[image])), key=lambda image: means[image])
    return ordered[len(ordered) // 2] if ordered else next(iter(images), "")


def _mean_index(results: Results, image: str) -> float:
    found = [item.per_image.get(image, math.nan) for item in results.sensitivities]
    defined = [value for value in found if math.isfinite(value)]
    return float(np.mean(defined)) if defined else math.nan


def _most_moved(results: Results, strips: list[Strip]) -> list[Strip]:
    """Return a strip a method on the first model that has any: of the factor that moves its map most."""
    order = {(knob.model, *knob.place): place for place, knob in enumerate(ranking(results, "settings"))}
    best: dict[int, Strip] = {}
    for strip in strips:
        if strip.model == strips[0].model:
            best[strip.experiment] = min(
                best.get(strip.experiment, strip),
                strip,
                key=lambda item: order.get((item.model, item.experiment, item.factor), len(order)),
            )
    return [best[experiment] for experiment in sorted(best)]


def _plate(title: str, strips: list[Strip], gallery: Gallery, names: dict[int, str]) -> SummaryPlate:
    first = strips[0]
    lines = tuple(_line(strip, gallery, names.get(strip.experiment, strip.method)) for strip in strips)
    caption = (
        f"{first.image}: of the photographs shown, the one of median sensitivity; each line starts with the reference."
    )
    return SummaryPlate(title, caption, gallery.photo(first), lines)


def _line(strip: Strip, gallery: Gallery, name: str) -> PlateLine:
    pictures = tuple(replace(gallery.map(strip, place), id="") for place in _ends(len(strip.labels)))
    if strip.along == "settings":
        return PlateLine(name, strip.factor, pictures)
    return PlateLine(strip.model, f"{name} under {strip.factor}", pictures)


def _ends(count: int) -> list[int]:
    """Return the places of the reference, the first, and the last of the other maps."""
    return list(dict.fromkeys([0, min(1, count - 1), count - 1]))
