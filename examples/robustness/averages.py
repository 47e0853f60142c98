"""Whether averages of accuracy show that maps move: both as shares of the way to a random map."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sam_toolkit import Rng
from sam_toolkit.study.execute import resolve_device
from sam_toolkit.study.findings import Interval
from sam_toolkit.study.labels import metric_text
from sam_toolkit.study.prepare import prepare
from sam_toolkit.study.results import AccuracySummary, Results
from sam_toolkit.study.scores import compared
from sam_toolkit.study.spec import Study
from sam_toolkit.study.statistics import Values, index, interval

Chance = Mapping[tuple[str, str], Mapping[str, float]]
"""The accuracy of a random map of each image, by network and metric."""

_SIMILARITY = "ssim"


@dataclass(frozen=True)
class Average:
    """The largest change of a mean accuracy among an experiment's settings, beside how far the maps move.

    Attributes:
        title: of the experiment.
        metric: the accuracy.
        setting: the one that changes most from the default.
        accuracy: of the default.
        effect: the change, over images, of the mean over trainings.
        span: the default's accuracy less a random map's, alike.
        moved: share of the way from equal maps to random ones, by SSIM, over images.
        similarity: mean SSIM of the settings' maps with the default's.
        random: mean SSIM with a random map.
    """

    data: str
    title: str
    metric: str
    setting: str
    accuracy: float
    effect: Interval
    span: Interval
    moved: Interval
    similarity: float
    random: float

    @property
    def share(self) -> float:
        """Return the far end of the change's interval as a share of the span; infinite where the span may be 0."""
        if not self.span.low * self.span.high > 0:
            return math.inf
        return max(abs(self.effect.low), abs(self.effect.high)) / abs(self.span.mean)

    @property
    def sign(self) -> int:
        """Return 1 where the accuracy shows less than the maps move, -1 where it shows more, else 0."""
        if self.share < self.moved.low:
            return 1
        near = 0.0 if self.effect.low * self.effect.high <= 0 else min(abs(self.effect.low), abs(self.effect.high))
        return -1 if math.isfinite(self.share) and near / abs(self.span.mean) > self.moved.high else 0


def chance(study: Study) -> Chance:
    """Return the accuracies of random maps in [-1, 1], drawn alike for all networks of a study."""
    found: dict[tuple[str, str], Mapping[str, float]] = {}
    if not study.accuracy:
        return found
    for subject in prepare(study, resolve_device("cpu"), _Forgets()):
        batch = subject.model.batch(subject.photos)
        draws = torch.Generator().manual_seed(study.seed)
        maps = 2 * torch.rand(len(batch), *batch.images.shape[-2:], generator=draws) - 1
        for use in study.accuracy:
            scores = use.metric(use.settings[0]).score(subject.model, batch, maps[None], use.settings, Rng(study.seed))
            for setting, values in zip(use.settings, scores[:, 0].tolist(), strict=True):
                found[subject.name, metric_text(use.metric, setting, use.settings)] = dict(
                    zip((photo.name for photo in subject.photos), values, strict=True)
                )
    return found


def averages(data: str, results: Results, random: Chance, kind: str) -> Iterator[Average]:
    """Give, by experiment and accuracy, the setting that changes its mean most, for one kind of network."""
    groups: dict[tuple[int, str], dict[str, list[AccuracySummary]]] = {}
    for item in results.accuracies:
        if kind in item.model.split("-"):
            groups.setdefault((item.experiment, item.metric), {}).setdefault(item.setting, []).append(item)
    for (experiment, metric), by_setting in groups.items():
        (_, default), *others = by_setting.items()
        if others:
            changes = {name: _over_trainings(own) - _over_trainings(default) for name, own in others}
            setting = max(changes, key=lambda name: abs(float(np.nanmean(changes[name]))))
            chances = [random[item.model, metric] for item in default]
            floor = np.mean([[own[name] for name in default[0].per_image] for own in chances], axis=0)
            similarity, floors = _moved(results, experiment, kind)
            yield Average(
                data,
                results.experiments[experiment].title,
                metric,
                setting,
                float(np.nanmean(_over_trainings(default))),
                interval(changes[setting]),
                interval(_over_trainings(default) - floor),
                interval(index(similarity, np.ones_like(similarity), floors)),
                float(np.nanmean(similarity)),
                float(np.nanmean(floors)),
            )


def _over_trainings(items: Sequence[AccuracySummary]) -> Values:
    """Return the mean over networks of each image's accuracy `[images]`."""
    means: Values = np.mean([[item.per_image[name] for name in items[0].per_image] for item in items], axis=0)
    return means


def _moved(results: Results, experiment: int, kind: str) -> tuple[Values, Values]:
    """Return the similarities `[images]` of an experiment's maps to the default's, and to random ones."""
    own = [
        item
        for item in compared(results.rows)
        if (item.experiment, item.along, item.metric) == (experiment, "settings", _SIMILARITY)
        and kind in item.model.split("-")
    ]
    return np.mean([item.scores.mean(axis=0) for item in own], axis=0), np.mean([item.random for item in own], axis=0)


class _Forgets:
    """Remembers no numbers."""

    def recall(self, key: str) -> float | None:
        return None

    def remember(self, key: str, value: float) -> None:
        pass
