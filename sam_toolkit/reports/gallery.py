"""The photographs with their maps: what a reader looks at first to believe a number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from sam_toolkit.reports.pictures import FULL, SMALL, overlay, photograph, webp
from sam_toolkit.reports.wording import number
from sam_toolkit.study.results import Results, Strip

MANY = 400
"""Pictures from which they are smaller."""
MOST = 1600
"""Pictures of a report at most; images beyond are left out, and the page says so."""
OPEN = 2
"""Images of an experiment that are open when the page is."""

Scores = Mapping[tuple[str, int, str, str, str, str], list[tuple[str, str]]]


@dataclass(frozen=True)
class Picture:
    """A picture as `data:` address, what stands beneath it, and what it shows for those who cannot see it."""

    source: str
    width: int
    height: int
    label: str
    alt: str
    scores: Sequence[tuple[str, str]] = ()

    @classmethod
    def of(cls, image: Image.Image, label: str, alt: str, scores: Sequence[tuple[str, str]] = ()) -> Picture:
        """Return an image as a picture."""
        return cls(webp(image), *image.size, label, alt, scores)


@dataclass(frozen=True)
class Line:
    """The maps along one factor."""

    along: str
    factor: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Panel:
    """One photograph, explained by one method on one model."""

    model: str
    target: str
    photo: Picture
    reference: Picture
    lines: tuple[Line, ...]
    signed: bool


@dataclass(frozen=True)
class Plate:
    """One photograph's panels, one a model."""

    image: str
    opened: bool
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Gallery:
    """How the pictures of a report are made: their size, and the images that have any."""

    size: int
    images: tuple[str, ...]
    left_out: int
    scores: Scores

    @classmethod
    def of(cls, results: Results) -> Gallery:
        """Return the gallery of a study, lighter where there is much to show."""
        costs: dict[str, int] = {}
        for strip in results.strips:
            costs[strip.image] = costs.get(strip.image, 0) + len(strip.labels)
        size = FULL if sum(costs.values()) <= MANY else SMALL
        kept: list[str] = []
        total = 0
        for image, cost in costs.items():
            total += cost
            if not kept or total <= MOST:
                kept.append(image)
        return cls(size, tuple(kept), len(costs) - len(kept), _scores(results))

    def plates(self, results: Results, experiment: int) -> Iterator[Plate]:
        """Yield the photographs of an experiment in the study's order."""
        strips = [strip for strip in results.strips if strip.experiment == experiment]
        images = [image for image in self.images if any(strip.image == image for strip in strips)]
        for place, image in enumerate(images):
            own = [strip for strip in strips if strip.image == image]
            models = dict.fromkeys(strip.model for strip in own)
            panels = tuple(self._panel([strip for strip in own if strip.model == model]) for model in models)
            yield Plate(image, place < OPEN, panels)

    def _panel(self, strips: list[Strip]) -> Panel:
        """Return a photograph's panel; its strips share photograph and reference map, which are shown once."""
        first = strips[0]
        photo = Picture.of(photograph(first.photo, self.size), first.target, f"Photograph {first.image}")
        reference = self._map(first, 0, f"default: {first.labels[0]}" if first.along == "settings" else "default")
        lines = tuple(
            Line(
                strip.along,
                strip.factor,
                tuple(self._map(strip, place, strip.labels[place]) for place in _others(strip)),
            )
            for strip in strips
        )
        return Panel(first.model, first.target, photo, reference, lines, first.signed)

    def _map(self, strip: Strip, place: int, label: str) -> Picture:
        key = (strip.model, strip.experiment, strip.along, strip.factor, strip.labels[place], strip.image)
        scores = self.scores.get(key, []) if place else []
        said = f", {', '.join(f'{metric} {score}' for metric, score in scores)}" if scores else ""
        alt = (
            f"Map of {strip.image} by {strip.method}, {strip.factor} {label}{said}" if place else f"Map at the {label}"
        )
        return Picture.of(overlay(strip.photo, strip.maps[place], strip.signed, self.size), label, alt, scores)


def _others(strip: Strip) -> range:
    return range(1, len(strip.labels))


def _scores(results: Results) -> Scores:
    found: dict[tuple[str, int, str, str, str, str], list[tuple[str, str]]] = {}
    for row in results.rows:
        if row.role == "value":
            key = (row.model, row.experiment, row.along, row.factor, row.value, row.image)
            found.setdefault(key, []).append((row.metric, number(row.score)))
    return found
