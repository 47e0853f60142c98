"""What a study works on, opened and checked before any work: models, photographs, targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from sam_toolkit.component import ImageSource, ModelSource
from sam_toolkit.errors import ImageError, ModelError
from sam_toolkit.images import Photo
from sam_toolkit.model import Model
from sam_toolkit.study.faults import blamed
from sam_toolkit.study.spec import ImagesUse, ModelUse, Study
from sam_toolkit.types import digest

_ROUNDED = 16
"""Photographs on which the rounding of a precision is looked at."""


@dataclass(frozen=True)
class Subject:
    """A model with what it is asked about.

    Attributes:
        photos: the photographs, each with its target as its label.
        given: for each, whether the label was known; otherwise it is the predicted class.
        shape: (C, H, W) of the network input.
        rounding: how far the logits of the first photographs are from those in float32, in ranges of the logits.
    """

    name: str
    model: Model
    photos: tuple[Photo, ...]
    given: tuple[bool, ...]
    shape: tuple[int, int, int]
    rounding: float = 0.0

    def address(self, image: int) -> tuple[str, str, int]:
        """Return (model fingerprint, image digest, target): what every map of this image depends on."""
        photo = self.photos[image]
        assert photo.label is not None
        return self.model.fingerprint, photo.digest, photo.label

    @property
    def how(self) -> str:
        """Return how the network is run: "49 batch norms folded, channels last"."""
        rounding = f", its logits off by up to {self.rounding:.2%} of their range" if self.rounding else ""
        return f"{self.model.execution(self.shape)}{rounding}"

    def target(self, image: int) -> str:
        """Return the target as text: "espresso (967), given"."""
        label = self.photos[image].label
        assert label is not None
        return f"{self.model.category(label)}, {'given' if self.given[image] else 'predicted'}"


def open_model(use: ModelUse, study: Study) -> Model:
    """Return the model of a study's entry, changed as it says, with the study's name, seed and precision.

    Raises ModelError that says what is missing, and ComponentError where the change does not fit.
    """
    model = use.source if isinstance(use.source, Model) else _loaded(use.source, use.model)
    if use.perturbation is not None:
        with blamed(f"Model perturbation {use.perturbation.name!r}"):
            model = use.perturbation(model, study.seed)
    return model.computing(study.precision).named(use.name)


def _loaded(source: ModelSource[Any], name: str) -> Model:
    with blamed(f"Model source {source.name!r}"):
        return source.load(name)


def open_photos(use: ImagesUse) -> tuple[Photo, ...]:
    """Return the study's photographs; raises ImageError where there are none or two share a name."""
    photos = _listed(use.source) if isinstance(use.source, ImageSource) else use.source
    chosen = tuple(photos[: use.limit])
    if not chosen:
        raise ImageError("The study has no images: images.limit or the list of images leaves none.")
    names = [photo.name for photo in chosen]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ImageError(f"Two images are called {twice[0]!r}; names must be unique within a study.")
    return chosen


def _listed(source: ImageSource[Any]) -> Sequence[Photo]:
    with blamed(f"Image source {source.name!r}"):
        return source.photos()


class Memory(Protocol):
    """Numbers that are kept from run to run by key."""

    def recall(self, key: str) -> float | None:
        """Return the number, or None where it is not known."""
        ...

    def remember(self, key: str, value: float) -> None:
        """Keep the number."""
        ...


def prepare(study: Study, device: str, memory: Memory) -> tuple[Subject, ...]:
    """Return the study's subjects, every photograph read once and every target checked.

    A changed model is asked about the targets of its original. Class counts and predictions are kept in `memory`, so
    that a second run needs no network row.
    """
    photos = open_photos(study.images)
    subjects: dict[str, Subject] = {}
    for use in study.models:
        model, original = open_model(use, study).to(device), subjects.get(use.original)
        subject = _subject(model, original.photos if original else photos, memory)
        subjects[use.name] = replace(subject, given=original.given) if original else subject
    return tuple(subjects.values())


def _subject(model: Model, photos: tuple[Photo, ...], memory: Memory) -> Subject:
    images = _read_all(model, photos)
    classes = int(_recall(memory, lambda: model.classes(images[0][None]), "classes", model.fingerprint))
    targets = []
    for photo, image in zip(photos, images, strict=True):
        label = photo.label
        if label is None:
            predict = partial(_predicted, model, image)
            label = int(_recall(memory, predict, "prediction", model.fingerprint, photo.digest))
        if not 0 <= label < classes:
            raise ModelError(
                f"Image {photo.name!r} has label {label}, but model {model.name!r} has classes 0 to {classes - 1}: "
                "correct the label, or leave it out to explain the predicted class."
            )
        targets.append(replace(photo, label=label))
    channels, height, width = images[0].shape
    given = tuple(photo.label is not None for photo in photos)
    digests = [photo.digest for photo in photos[:_ROUNDED]]
    rounding = _recall(memory, lambda: _rounding(model, images[:_ROUNDED]), "rounding", model.fingerprint, *digests)
    return Subject(model.name, model, tuple(targets), given, (channels, height, width), rounding)


def _predicted(model: Model, image: Tensor) -> int:
    return int(model.predict(image[None]))


def _rounding(model: Model, images: list[Tensor]) -> float:
    """Return the largest difference of logits to those in float32, in ranges of the logits."""
    if model.precision == "float32":
        return 0.0
    inputs = model.inputs(torch.stack(images))
    exact = model.computing("float32").logits(inputs)
    return float(((model.logits(inputs) - exact).abs().amax(dim=1) / (exact.amax(dim=1) - exact.amin(dim=1))).max())


def _recall(memory: Memory, find: Callable[[], float], *address: str) -> float:
    key = digest(*address)
    value = memory.recall(key)
    if value is None:
        value = find()
        memory.remember(key, value)
    return value


def _read_all(model: Model, photos: tuple[Photo, ...]) -> list[Tensor]:
    """Read every photograph, so that a damaged one is found now and not hours later; name all that are."""
    images, problems = [], []
    for photo in photos:
        try:
            images.append(model.image(photo))
        except ImageError as error:
            problems.append(str(error))
    if problems:
        raise ImageError("\n".join(problems))
    shapes = sorted({tuple(image.shape) for image in images})
    if len(shapes) > 1:
        raise ImageError(f"All images of a study must have one size at model {model.name!r}; got {shapes}.")
    return images
