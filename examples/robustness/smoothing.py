"""Whether averaging does for a regular network what attacks in training do: SAM's comparison with the robust twin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from differences import sign

from sam_toolkit.study.findings import Interval
from sam_toolkit.study.results import Results
from sam_toolkit.study.scores import Compared, compared
from sam_toolkit.study.statistics import Values, image_mean, interval, signed_rank

_PLAIN = "gradient"


@dataclass(frozen=True)
class Smoothing:
    """How much closer to the robust twin's gradient a regular network's map is than its own gradient.

    Attributes:
        method: of the map.
        plain: similarity of the network's gradient to its twin's.
        smooth: similarity of the map to the twin's gradient.
        rerun: similarity of reruns of the map with another seed, 1 where nothing is drawn.
        random: similarity of a random map to the network's own.
        effect: smooth less plain, over images, of the mean over trainings.
        trainings: the mean over images of each training.
        p: of Wilcoxon's signed ranks, paired by image.
        corrected: after Holm's correction over all tests of the page.
    """

    data: str
    method: str
    metric: str
    plain: float
    smooth: float
    rerun: float
    random: float
    effect: Interval
    trainings: tuple[float, ...]
    p: float
    corrected: float = float("nan")

    @property
    def sign(self) -> int:
        """Return 1 where the map is closer, -1 where it is farther, else 0."""
        return sign((self.effect,), self.corrected, self.trainings)


def smoothing(data: str, results: Results) -> Iterator[Smoothing]:
    """Give the gain of each method and metric that the study compares with the gradient of the robust twin."""
    found: dict[tuple[str, str], dict[str, Compared]] = {}
    for item in compared(results.rows):
        if item.along == f"models, from {_PLAIN}":
            found.setdefault((item.method, item.metric), {})[item.model] = item
    for (method, metric), by_model in found.items():
        if method != _PLAIN:
            plain = np.array([_default(found[_PLAIN, metric][model]) for model in by_model])
            smooth = np.array([_default(item) for item in by_model.values()])
            gains = smooth - plain
            yield Smoothing(
                data,
                method,
                metric,
                float(np.nanmean(plain)),
                float(np.nanmean(smooth)),
                float(np.nanmean([item.floor for item in by_model.values()])),
                float(np.nanmean([item.random for item in by_model.values()])),
                interval(gains.mean(axis=0)),
                tuple(image_mean(gains).tolist()),
                signed_rank(gains.mean(axis=0)),
            )


def _default(item: Compared) -> Values:
    """Return the similarity of the default's map, the row that is of no hyperparameter, `[images]`."""
    return next(iter(item.of("model").values()))
