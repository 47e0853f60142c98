"""Which maps are compared with which: an image's reference map, its variants, its floors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from sam_toolkit.component import MapFacts
from sam_toolkit.study.keys import map_key, variant_text
from sam_toolkit.study.labels import setting_text, value_text
from sam_toolkit.study.plan import reruns
from sam_toolkit.study.prepare import Subject
from sam_toolkit.study.spec import CLEAN, Comparison, MethodUse, Study
from sam_toolkit.types import Params, digest


@dataclass(frozen=True)
class Line:
    """A map that is compared with the reference: its key in the store, or the address of a random map.

    Attributes:
        draw: which random map it is; -1 for a map of the method.
        number: the value as a number, where it is one.
    """

    role: Literal["value", "rerun", "random"]
    key: str
    factor: str = ""
    value: str = ""
    number: float | None = None
    draw: int = -1


@dataclass(frozen=True)
class Stack:
    """One image's maps of one experiment, along the settings or the inputs; the first map is the reference."""

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
        """Return the keys of the stored maps, the reference first."""
        return (self.reference, *(line.key for line in self.lines if line.draw < 0))

    def only(self, lines: tuple[Line, ...]) -> Stack:
        """Return the stack with these lines alone."""
        return replace(self, lines=lines)


def stacks(study: Study, subjects: tuple[Subject, ...]) -> Iterator[list[Stack]]:
    """Yield the stacks of each model, experiment and comparison, one an image."""
    for model, subject in enumerate(subjects):
        for use in study.methods:
            for comparison in study.compare:
                found = [
                    _stack(study, subject, (model, image), use, comparison) for image in range(len(subject.photos))
                ]
                if any(line.role == "value" for line in found[0].lines):
                    yield found


def _stack(study: Study, subject: Subject, where: tuple[int, int], use: MethodUse, comparison: Comparison) -> Stack:
    model, image = where
    facts = use.method(use.default).facts(use.default)
    along = _along_settings if comparison.along == "settings" else _along_inputs
    lines = (
        *along(study, subject, image, use),
        *(Line("rerun", _key(study, subject, image, use, setting)) for setting in reruns(study, use)),
        *(_random(study, subject, image, facts, draw) for draw in range(study.random_maps)),
    )
    label = setting_text(use.default, None, only=tuple(use.axes)) if comparison.along == "settings" else CLEAN
    reference = _key(study, subject, image, use, use.default)
    return Stack(model, use, comparison, image, reference, label, lines, facts)


def _key(study: Study, subject: Subject, image: int, use: MethodUse, setting: Params, variant: int = 0) -> str:
    return map_key(use.method, setting, study.seed, variant_text(study.inputs[variant]), subject.address(image))


def _along_settings(study: Study, subject: Subject, image: int, use: MethodUse) -> Iterator[Line]:
    for setting in use.settings[1:]:
        changed = [name for name in use.axes if getattr(setting, name) != getattr(use.default, name)]
        values = [getattr(setting, name) for name in changed]
        single = len(changed) == 1
        yield Line(
            "value",
            _key(study, subject, image, use, setting),
            " × ".join(changed),
            value_text(values[0])
            if single
            else ", ".join(f"{n}={value_text(v)}" for n, v in zip(changed, values, strict=True)),
            _number(values[0]) if single else None,
        )


def _along_inputs(study: Study, subject: Subject, image: int, use: MethodUse) -> Iterator[Line]:
    for position, variant in enumerate(study.inputs):
        if variant.perturbation is not None:
            name = variant.perturbation.name
            value = variant.name.removeprefix(name).strip() or name
            yield Line("value", _key(study, subject, image, use, use.default, position), name, value)


def _random(study: Study, subject: Subject, image: int, facts: MapFacts, draw: int) -> Line:
    photo = subject.photos[image]
    address = digest("random-map", str(study.seed), str(facts.signed), str(subject.shape), photo.digest, str(draw))
    return Line("random", address, draw=draw)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
