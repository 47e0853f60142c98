"""What follows from the scores of a study: intervals, ranks, tests, agreement and advice, as plain values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Interval:
    """A mean over images with its confidence interval.

    Attributes:
        mean: NaN where no image has a value.
        low: end of the interval; NaN where there are too few images for one.
        high: other end.
        count: images that have a value.
        undefined: images for which the score is undefined.
        how: the interval's kind, as text ("95 % BCa bootstrap over 12 images"; "no interval: 5 images, 8 needed").
    """

    mean: float
    low: float
    high: float
    count: int
    undefined: int
    how: str

    @property
    def could_be_nothing(self) -> bool:
        """Return whether a difference is not above 0: by its interval, or by its mean where there is no interval."""
        return not (self.low if math.isfinite(self.low) else self.mean) > 0


@dataclass(frozen=True)
class Rank:
    """The place of one factor among all that were varied for a model, by how far it moves the map.

    Attributes:
        metric: the similarity that the index is of; "" for the median over all of them.
        rank: 1 for the factor with the largest mean index.
        low: smallest rank of 95 % of the bootstrap draws; NaN where there are too few images for draws.
        high: largest rank of 95 % of the draws.
        above_next: share of the draws in which it ranks above the next; NaN for the last.
    """

    model: str
    along: str
    metric: str
    rank: int
    experiment: int
    method: str
    factor: str
    index: float
    low: float
    high: float
    above_next: float


@dataclass(frozen=True)
class PairedTest:
    """A test, paired by image, of whether two things differ: Wilcoxon's signed ranks, two-sided.

    Attributes:
        kind: "similarity" of two neighbouring values to the reference, "index" of two neighbouring factors of the
            ranking, or "accuracy" of a setting and the default.
        difference: first minus second.
        p: NaN where there are too few images.
        corrected: p after Holm's correction over all tests of the study.
    """

    kind: Literal["similarity", "index", "accuracy"]
    model: str
    experiment: int
    method: str
    along: str
    metric: str
    first: str
    second: str
    difference: Interval
    p: float
    corrected: float


@dataclass(frozen=True)
class Agreement:
    """How far two similarity metrics order the same comparisons alike: Kendall's tau-b an image, then over images.

    Attributes:
        experiment: the experiment; None for all of them together.
        pairs: comparisons of maps that are ordered.
    """

    model: str
    experiment: int | None
    along: str
    first: str
    second: str
    tau: Interval
    pairs: int


@dataclass(frozen=True)
class Advice:
    """How far the map stays where it is around the reference value of a factor, by all metrics at once.

    Attributes:
        kind: "steady": `values` leave the map where it is; "moving": no neighbour of the reference does;
            "reruns": another seed alone moves it.
        reference: the value that the others are compared with.
        values: the values next to the reference, it among them, that leave the map where it is.
        moved: the largest share of the way from an equal map to a random one that the map goes: within `values`, to
            the nearest neighbour, or to a rerun.
        tolerance: the share up to which a map counts as staying where it is.
        ends: whether the reference is the "largest" or "smallest" value tried, or "inside"; "" for what is no number.
        reruns: the share by which another seed moves the default's map; NaN where nothing is drawn.
        certainty: share of the bootstrap draws over images in which it holds; NaN where there are too few images.
        count: images.
    """

    kind: Literal["steady", "moving", "reruns"]
    model: str
    experiment: int
    method: str
    factor: str
    reference: str
    values: tuple[str, ...]
    moved: float
    tolerance: float
    ends: Literal["largest", "smallest", "inside", ""]
    reruns: float
    certainty: float
    count: int


@dataclass(frozen=True)
class Findings:
    """Everything that follows from the scores of a study."""

    ranks: tuple[Rank, ...] = ()
    tests: tuple[PairedTest, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    advice: tuple[Advice, ...] = ()
