"""The photographs with their maps: what a reader looks at first to believe a number."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from PIL import Image

from sam_toolkit.reports.drawing import LINKED
from sam_toolkit.reports.pictures import FULL, SMALL, overlay, photograph, webp
from sam_toolkit.reports.wording import number
from sam_toolkit.study.results import Results, Strip, ValueSummary

MANY = 400
"""Pictures from which they are smaller."""
MOST = 1600
"""Pictures of a report at most; images beyond are left out, and the page says so."""
OPEN = 2
"""Images of an experiment that are open when the page is."""

Place = tuple[str, int, str, str, str, str]
"""Model, experiment, along, factor, value, image: one map that is compared."""
Scores = Mapping[Place, list[tuple[str, str]]]


def anchor(place: Place) -> str:
    """Return the id of a map's picture on the page."""
    return LINKED + blake2b(repr(place).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Picture:
    """A picture as `data:` address, what stands beneath it, and what it shows for those who cannot see it.

    Attributes:
        id: its anchor on the page, where it has one.
        key: the map's key in the store.
    """

    source: str
    width: int
    height: int
    label: str
    alt: str
    scores: Sequence[tuple[str, str]] = ()
    id: str = ""
    key: str = ""

    @classmethod
    def of(cls, image: Image.Image, label: str, alt: str) -> Picture:
        """Return an image as a picture."""
        return cls(webp(image), *image.size, label, alt)


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
    anchors: Mapping[str, str]

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
        return cls(size, tuple(kept), len(costs) - len(kept), _scores(results), _anchors(results, kept))

    def first(self, item: ValueSummary) -> str:
        """Return the anchor of the first picture behind a number; empty where none is shown."""
        places = ((item.model, item.experiment, item.along, item.factor, item.value, image) for image in self.images)
        return next((name for place in places if (name := anchor(place)) in self.anchors), "")

    def plates(self, results: Results, experiment: int) -> Iterator[Plate]:
        """Yield the photographs of an experiment in the study's order."""
        strips = [strip for strip in results.strips if strip.experiment == experiment]
        images = [image for image in self.images if any(strip.image == image for strip in strips)]
        for place, image in enumerate(images):
            own = [strip for strip in strips if strip.image == image]
            alike: dict[tuple[str, ...], list[Strip]] = {}
            for strip in own:
                alike.setdefault((strip.model, *strip.keys[:1]), []).append(strip)
            panels = tuple(self._panel(same) for same in alike.values())
            yield Plate(image, place < OPEN, panels)

    def _panel(self, strips: list[Strip]) -> Panel:
        """Return a photograph's panel; its strips share photograph and reference map, which are shown once."""
        first = strips[0]
        photo, reference = self.photo(first), self.map(first, 0)
        lines = tuple(
            Line(
                strip.along,
                strip.factor,
                tuple(self.map(strip, place) for place in _others(strip)),
            )
            for strip in strips
        )
        return Panel(first.model, first.target, photo, reference, lines, first.signed)

    def photo(self, strip: Strip) -> Picture:
        """Return the photograph of a strip."""
        return Picture.of(photograph(strip.photo, self.size), strip.target, f"Photograph {strip.image}")

    def map(self, strip: Strip, place: int) -> Picture:
        """Return a map of a strip, the reference at place 0, with its scores."""
        default = "default" if strip.along == "inputs" else f"{_kind(strip)}: {strip.labels[0]}"
        label = strip.labels[place] if place else default
        where = _place(strip, place)
        scores = self.scores.get(where, []) if place else []
        said = f", {', '.join(f'{metric} {score}' for metric, score in scores)}" if scores else ""
        alt = (
            f"Map of {strip.image} by {strip.method}, {strip.factor} {label}{said}" if place else f"Map at the {label}"
        )
        picture = Picture.of(overlay(strip.photo, strip.maps[place], strip.signed, self.size), label, alt)
        key = strip.keys[place] if strip.keys else ""
        return replace(picture, scores=scores, id=anchor(where) if place else "", key=key)


def _others(strip: Strip) -> range:
    return range(1, len(strip.labels))


def _kind(strip: Strip) -> str:
    return "default" if strip.along == "settings" else "reference"


def _place(strip: Strip, place: int) -> Place:
    return strip.model, strip.experiment, strip.along, strip.factor, strip.labels[place], strip.image


def _anchors(results: Results, images: Collection[str]) -> dict[str, str]:
    """Return the anchors of the pictures of some images, with the keys of their maps."""
    return {
        anchor(_place(strip, place)): strip.keys[place] if strip.keys else ""
        for strip in results.strips
        if strip.image in images
        for place in _others(strip)
    }


def _scores(results: Results) -> Scores:
    found: dict[Place, list[tuple[str, str]]] = {}
    for row in results.rows:
        if row.role == "value":
            key = (row.model, row.experiment, row.along, row.factor, row.value, row.image)
            found.setdefault(key, []).append((row.metric, number(row.score)))
    return found
