"""How alike maps are: of one kind of network with their floors, and of two kinds paired by image and training."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sam_toolkit.errors import StoreError
from sam_toolkit.study.findings import Interval
from sam_toolkit.study.results import Results
from sam_toolkit.study.scores import Compared, compared
from sam_toolkit.study.statistics import Values, image_mean, interval, signed_rank

LEVEL = 0.05
_NAME = re.compile(r"(?:(.+)-)?(regular|robust|noise)(-\d+)?")
_SEED = "seed"


@dataclass(frozen=True)
class Question:
    """What was varied; of the inputs, each value is a question of its own."""

    experiment: int
    method: str
    along: str
    factor: str
    values: tuple[str, ...]
    reference: str
    metric: str

    @property
    def of_the_seed(self) -> bool:
        """Return whether nothing but the seed was varied."""
        return self.along == "settings" and self.factor == _SEED


@dataclass(frozen=True)
class Level:
    """How alike maps of one kind of network are, and the floors that this is read between.

    Attributes:
        rerun: similarity of reruns with another seed, 1 where nothing is drawn.
        random: similarity to a random map.
    """

    similarity: float
    rerun: float
    random: float


@dataclass(frozen=True)
class Difference:
    """The answer to a question: the first kind's similarity less the second's.

    Attributes:
        levels: of both kinds, over trainings and images.
        effect: over images, of the mean over trainings.
        over_random: the same of what similarities exceed those to random maps by.
        trainings: the mean over images of each pair of trainings.
        p: of Wilcoxon's signed ranks, paired by image.
        corrected: after Holm's correction over all tests of the page.
    """

    data: str
    question: Question
    kinds: tuple[str, str]
    levels: tuple[Level, Level]
    effect: Interval
    over_random: Interval
    trainings: tuple[float, ...]
    p: float
    corrected: float = float("nan")

    @property
    def sign(self) -> int:
        """Return 1 or -1 where both intervals, the corrected test and every training say so; else 0."""
        return sign((self.effect, self.over_random), self.corrected, self.trainings)


@dataclass(frozen=True)
class Movement:
    """How far maps of one kind of network move: by how much less alike they are than a rerun's.

    Attributes:
        level: over trainings and images; the floor is 1 where the seed itself was varied.
        effect: rerun's similarity less the maps', over images, of the mean over trainings.
        trainings: the mean over images of each training.
        p: of Wilcoxon's signed ranks, paired by image.
        corrected: after Holm's correction over all tests of the page.
    """

    data: str
    question: Question
    kind: str
    level: Level
    effect: Interval
    trainings: tuple[float, ...]
    p: float
    corrected: float = float("nan")

    @property
    def sign(self) -> int:
        """Return 1 where maps move more than with another seed, -1 where they move less, else 0."""
        return sign((self.effect,), self.corrected, self.trainings)

    @property
    def share(self) -> float:
        """Return the effect as a share of the way from a rerun's map to a random one: 0 to 1, of means."""
        return self.effect.mean / (self.level.rerun - self.level.random)


def sign(intervals: Sequence[Interval], corrected: float, trainings: Sequence[float]) -> int:
    """Return 1 or -1 where all intervals lie on that side of 0, the test tells it, and each training agrees; else 0."""
    for side in (1, -1):
        ends = [part.low if side > 0 else part.high for part in intervals]
        if corrected < LEVEL and all(side * value > 0 for value in (*ends, *trainings)):
            return side
    return 0


def differences(data: str, results: Results, kinds: tuple[str, str]) -> Iterator[Difference]:
    """Give the difference of two kinds of network for each question of a study; none where it has not both."""
    for question, by_model in _found(results).items():
        pairs = list(_pairs(by_model, kinds))
        if pairs:
            _check(data, question, [item for pair in pairs for item in pair])
            first, second = (_Side.of(side, question) for side in zip(*pairs, strict=True))
            raw, over_random = first.scores - second.scores, first.over_random - second.over_random
            yield Difference(
                data,
                question,
                kinds,
                (first.level, second.level),
                interval(raw.mean(axis=0)),
                interval(over_random.mean(axis=0)),
                tuple(image_mean(raw).tolist()),
                signed_rank(raw.mean(axis=0)),
            )


def movements(data: str, results: Results, kind: str) -> Iterator[Movement]:
    """Give how far maps of one kind of network move, for each question of a study."""
    for question, by_model in _found(results).items():
        items = [item for name, item in by_model.items() if _parts(name)[1] == kind]
        if items:
            _check(data, question, items)
            side = _Side.of(items, question)
            below = side.floors - side.scores
            trainings = tuple(image_mean(below).tolist())
            by_image = below.mean(axis=0)
            yield Movement(data, question, kind, side.level, interval(by_image), trainings, signed_rank(by_image))


@dataclass(frozen=True)
class _Side:
    """Scores of the networks of one kind, each `[trainings, images]`."""

    scores: Values
    floors: Values
    randoms: Values

    @classmethod
    def of(cls, items: Sequence[Compared], question: Question) -> _Side:
        scores = np.array([_similarity(item, question) for item in items])
        floors = np.array([item.floor for item in items])
        randoms = np.array([item.random for item in items])
        return cls(scores, np.ones_like(floors) if question.of_the_seed else floors, randoms)

    @property
    def over_random(self) -> Values:
        return self.scores - self.randoms

    @property
    def level(self) -> Level:
        return Level(*(float(np.nanmean(part)) for part in (self.scores, self.floors, self.randoms)))


def _found(results: Results) -> dict[Question, dict[str, Compared]]:
    """Return, by question, the scores of each network; comparisons of networks with each other stay out."""
    found: dict[Question, dict[str, Compared]] = {}
    for item in compared(results.rows):
        if item.along in ("inputs", "settings"):
            for question in _questions(item):
                found.setdefault(question, {})[item.model] = item
    return found


def _questions(item: Compared) -> Iterator[Question]:
    place = (item.experiment, item.method, item.along)
    for factor in item.factors:
        values = tuple(item.of(factor))
        for some in [(value,) for value in values] if item.along == "inputs" else [values]:
            yield Question(*place, factor, some, item.reference, item.metric)


def _parts(name: str) -> tuple[str, str, str]:
    """Return the family, kind and training that a network's name says; empty where it says none."""
    match = _NAME.fullmatch(name)
    return (match[1] or "", match[2], match[3] or "") if match else ("", "", "")


def _pairs(by_model: Mapping[str, Compared], kinds: tuple[str, str]) -> Iterator[tuple[Compared, Compared]]:
    """Give the results of networks that differ in their kind alone."""
    named = {_parts(name): item for name, item in by_model.items()}
    for (family, kind, training), item in named.items():
        if kind == kinds[0] and (family, kinds[1], training) in named:
            yield item, named[family, kinds[1], training]


def _check(data: str, question: Question, items: Sequence[Compared]) -> None:
    if len({item.images for item in items}) > 1:
        raise StoreError(f"{data}: {question.method} lacks maps of some images; run the study to its end first.")


def _similarity(item: Compared, question: Question) -> Values:
    """Return the mean over the question's values of each image's similarity `[images]`."""
    scores: Values = np.mean([item.of(question.factor)[value] for value in question.values], axis=0)
    return scores
