"""Which maps are compared with which: an image's reference map, its variants, its floors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from sam_toolkit.component import MapFacts
from sam_toolkit.study.input_names import variant_names
from sam_toolkit.study.keys import map_key, variant_text
from sam_toolkit.study.labels import setting_text, value_text
from sam_toolkit.study.plan import reruns
from sam_toolkit.study.prepare import Subject
from sam_toolkit.study.scores import VERSUS
from sam_toolkit.study.spec import CLEAN, Axis, Comparison, MethodUse, Study
from sam_toolkit.types import Params, digest


@dataclass(frozen=True)
class Line:
    """A map that is compared with another: its key in the store, or the address of a random map.

    Attributes:
        key: "" where there is nothing to compare: two models explain different classes of an image without a label.
        draw: which random map it is; -1 for a map of the method.
        number: the value as a number, where it is one.
        against: key of the map that it is compared with, where that is not the stack's reference.
    """

    role: Literal["value", "rerun", "random"]
    key: str
    factor: str = ""
    value: str = ""
    number: float | None = None
    draw: int = -1
    against: str = ""


@dataclass(frozen=True)
class Stack:
    """One image's maps of one experiment and comparison; the first map is the reference, "" where pairs have none."""

    model: int
    use: MethodUse
    comparison: Comparison
    image: int
    reference: str
    label: str
    lines: tuple[Line, ...]
    facts: MapFacts

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the keys of the stored maps that have a label: the reference first, then the lines'."""
        first = (self.reference,) if self.reference else ()
        return (*first, *(line.key for line in self.lines if line.draw < 0))

    def other(self, line: Line) -> str:
        """Return the key of the map that a line is compared with."""
        return line.against or self.reference

    def only(self, lines: tuple[Line, ...]) -> Stack:
        """Return the stack with these lines alone."""
        return replace(self, lines=lines)


@dataclass(frozen=True)
class _Place:
    """An image of a model, whose maps of an experiment are wanted."""

    study: Study
    subjects: tuple[Subject, ...]
    model: int
    image: int
    use: MethodUse

    def key(self, setting: Params, variant: int = 0) -> str:
        """Return the key of the experiment's map."""
        return self.key_of(self.use, setting, self.model, variant)

    def key_of(self, use: MethodUse, setting: Params, model: int, variant: int = 0) -> str:
        """Return the key of a map of any experiment and model."""
        address = self.subjects[model].address(self.image)
        return map_key(use.method, setting, self.study.seed, variant_text(self.study.inputs[variant]), address)

    def same_target(self, model: int) -> bool:
        """Return whether another model is asked about the same class."""
        return self.subjects[model].address(self.image)[2] == self.subjects[self.model].address(self.image)[2]

    @property
    def name(self) -> str:
        """Return the model's name."""
        return self.subjects[self.model].name


def stacks(study: Study, subjects: tuple[Subject, ...]) -> Iterator[list[Stack]]:
    """Yield the stacks of each model, experiment and comparison, one an image."""
    for model, subject in enumerate(subjects):
        for use in study.methods:
            for comparison in study.compare:
                if not comparison.covers(use):
                    continue
                places = (_Place(study, subjects, model, image, use) for image in range(len(subject.photos)))
                found = [_stack(place, comparison) for place in places]
                if any(line.role == "value" for line in found[0].lines):
                    yield found


def _stack(place: _Place, comparison: Comparison) -> Stack:
    own = place.key(place.use.default)
    facts = _facts(place.use, comparison)
    reference, label, lines = _LINES[comparison.axis](place, comparison)
    against = "" if reference == own else own
    floors = (
        *(Line("rerun", place.key(setting), against=against) for setting in reruns(place.study, place.use)),
        *(_random(place, facts, draw, against) for draw in range(place.study.random_maps)),
    )
    return Stack(place.model, place.use, comparison, place.image, reference, label, (*lines, *floors), facts)


def _facts(use: MethodUse, comparison: Comparison) -> MapFacts:
    """Return what holds of all maps of a comparison."""
    facts = use.method(use.default).facts(use.default)
    if comparison.reference is None:
        return facts
    other = comparison.reference
    theirs = other.method(other.default).facts(other.default)
    return facts if facts == theirs else MapFacts(signed=facts.signed or theirs.signed)


_Lines = tuple[str, str, list[Line]]
"""The reference's key, its label, and what is compared."""


def _along_settings(place: _Place, comparison: Comparison) -> _Lines:
    use = place.use
    if comparison.pairs:
        pairs = combinations([(setting, place.key(setting)) for setting in use.settings], 2)
        return "", _EACH_OTHER, [line for one, other in pairs for line in _pair_of_settings(use, one, other)]
    label = setting_text(use.default, None, only=tuple(use.axes))
    return place.key(use.default), label, [_setting_line(place, setting) for setting in use.settings[1:]]


def _pair_of_settings(use: MethodUse, one: tuple[Params, str], other: tuple[Params, str]) -> Iterator[Line]:
    """Yield the line of two settings, each with its key, that differ in one hyperparameter; nothing for others."""
    changed = _changed(use, one[0], other[0])
    if len(changed) == 1:
        first, second = (value_text(getattr(setting, changed[0])) for setting, _ in (one, other))
        yield Line("value", other[1], changed[0], f"{first}{VERSUS}{second}", against=one[1])


def _setting_line(place: _Place, setting: Params) -> Line:
    use = place.use
    changed = _changed(use, use.default, setting)
    values = [getattr(setting, name) for name in changed]
    single = len(changed) == 1
    text = value_text(values[0]) if single else setting_text(setting, None, only=changed)
    return Line("value", place.key(setting), _BOTH.join(changed), text, _number(values[0]) if single else None)


def _along_inputs(place: _Place, comparison: Comparison) -> _Lines:
    default = place.use.default
    variants = [
        (place.key(default, position), *named) for position, named in enumerate(variant_names(place.study.inputs))
    ]
    if comparison.pairs:
        lines = [
            Line("value", key, _factors(first[1], factor), f"{first[2]}{VERSUS}{value}", against=first[0])
            for first, (key, factor, value) in combinations(variants, 2)
        ]
        return "", _EACH_OTHER, lines
    return place.key(default), CLEAN, [Line("value", key, factor, value) for key, factor, value in variants if factor]


def _along_models(place: _Place, comparison: Comparison) -> _Lines:
    names, default = [subject.name for subject in place.subjects], place.use.default
    if comparison.pairs:
        others = range(place.model + 1, len(names))
        pairs = [(_between(place, default, other), f"{place.name}{VERSUS}{names[other]}") for other in others]
        return "", _EACH_OTHER, [replace(line, value=value) for line, value in pairs]
    if place.name not in comparison.twins:
        return "", "", []
    twin = names.index(comparison.twins[place.name])
    use = comparison.reference or place.use
    reference = place.key_of(use, use.default, twin)
    label = f"{use.method.name} of {names[twin]}" if comparison.reference else names[twin]
    along_axes = _axes_between(place, twin, reference if comparison.reference else "")
    return reference, label, [_between(place, default, twin, reference), *along_axes]


def _axes_between(place: _Place, twin: int, reference: str) -> Iterator[Line]:
    """Yield the lines of each hyperparameter: its values, the default's among them, with the others as the default."""
    use = place.use
    for axis in use.axes:
        for setting in use.settings:
            if set(_changed(use, use.default, setting)) <= {axis}:
                value = getattr(setting, axis)
                line = _between(place, setting, twin, reference)
                yield replace(line, factor=axis, value=value_text(value), number=_number(value))


def _between(place: _Place, setting: Params, twin: int, reference: str = "") -> Line:
    """Return the line of this model's map and another model's, of the same setting or the `reference`."""
    key = place.key(setting) if place.same_target(twin) else ""
    against = reference or place.key_of(place.use, setting, twin)
    return Line("value", key, "model", place.name, against=against)


_LINES: dict[Axis, Callable[[_Place, Comparison], _Lines]] = {
    "settings": _along_settings,
    "inputs": _along_inputs,
    "models": _along_models,
}
_EACH_OTHER, _BOTH = "each other", " × "


def _changed(use: MethodUse, one: Params, other: Params) -> tuple[str, ...]:
    return tuple(name for name in use.axes if getattr(one, name) != getattr(other, name))


def _factors(*names: str) -> str:
    return _BOTH.join(dict.fromkeys(filter(None, names)))


def _random(place: _Place, facts: MapFacts, draw: int, against: str) -> Line:
    subject = place.subjects[place.model]
    photo = subject.photos[place.image]
    parts = (str(place.study.seed), str(facts.signed), str(subject.shape), photo.digest, str(draw))
    return Line("random", digest("random-map", *parts), draw=draw, against=against)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
