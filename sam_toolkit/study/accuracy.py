"""Scores each map of a study against what is known of the image: boxes, or the network's own answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from sam_toolkit.component import MapMetric
from sam_toolkit.errors import SamError, StoreError
from sam_toolkit.rng import Rng
from sam_toolkit.study.faults import blamed, check_shape, merged
from sam_toolkit.study.keys import map_key, score_key
from sam_toolkit.study.labels import metric_text, setting_text
from sam_toolkit.study.plan import scored_maps, scored_together
from sam_toolkit.study.prepare import Subject
from sam_toolkit.study.results import AccuracySummary, Failure
from sam_toolkit.study.spec import AccuracyUse, MethodUse, Study
from sam_toolkit.study.statistics import interval
from sam_toolkit.study.store import Score, Store
from sam_toolkit.study.untouched import Guard
from sam_toolkit.types import Params

_ROWS = "network rows"
"""Beside a score: its share of the network rows that scoring an image's maps together took."""


def score_maps(
    study: Study, subjects: tuple[Subject, ...], store: Store, advance: Callable[[str], None]
) -> list[Failure]:
    """Fill the store with the accuracies that it lacks, and return what could not be had.

    Maps that could not be computed stay out.
    """
    guard, failures = Guard(study), []
    methods = ", ".join(dict.fromkeys(use.method.name for use in study.methods))
    for index, subject in enumerate(subjects):
        for metric, settings in scored_together(study):
            for image, photo in enumerate(subject.photos):
                advance(f"{subject.name}, {metric.name}, {photo.name}")
                try:
                    with guard.over(index, subject.model, f"Accuracy {metric.name!r}"):
                        scores = list(_missing(study, subject, store, (metric, settings, image)))
                    store.add_scores(scores)
                except StoreError:
                    raise
                except SamError as error:
                    failures.append(Failure(subject.name, methods, photo.name, f"scored by {metric.name}", str(error)))
    return merged(failures)


def accuracy_rows(study: Study, subjects: tuple[Subject, ...], store: Store) -> int:
    """Return the network rows that the accuracies in the store took."""
    keys = {
        score_key(use.metric, setting, key)
        for subject in subjects
        for image in range(len(subject.photos))
        for key in _all_map_keys(study, subject, image)
        for use in study.accuracy
        for setting in use.settings
    }
    return round(sum(score.extras.get(_ROWS, 0.0) for score in store.scores(keys).values()))


def _missing(
    study: Study, subject: Subject, store: Store, what: tuple[type[MapMetric[Any]], tuple[Params, ...], int]
) -> Iterator[Score]:
    """Yield the scores of an image's maps where one is lacking: all maps of all experiments in one call."""
    metric, settings, image = what
    keys = _all_map_keys(study, subject, image)
    have = store.known(keys)
    known = store.scores([score_key(metric, setting, key) for setting in settings for key in have])
    wanted = [key for key in keys if key in have and any(score_key(metric, s, key) not in known for s in settings)]
    if not wanted:
        return
    model = subject.model
    batch = model.batch([subject.photos[image]])
    maps = store.maps(wanted)[:, None]
    before = model.counted.forward
    who = f"Accuracy {metric.name!r}"
    with blamed(who):
        values = metric(settings[0]).score(model, batch, maps, settings, Rng(study.seed).child(metric.name))
    check_shape(values, (len(settings), len(wanted), 1), f"{who}: scores")
    share = (model.counted.forward - before) / (len(settings) * len(wanted))
    for s, setting in enumerate(settings):
        for m, key in enumerate(wanted):
            yield Score(score_key(metric, setting, key), float(values[s, m, 0]), {_ROWS: share} if share else {})


def accuracy_summaries(study: Study, subjects: tuple[Subject, ...], store: Store) -> Iterator[AccuracySummary]:
    """Yield the accuracy of each setting of each experiment, over images."""
    for subject in subjects:
        for use in study.methods:
            keys = [_map_keys(study, subject, use, image) for image in range(len(subject.photos))]
            for accuracy in study.accuracy:
                yield from _summaries(study, subject, store, (use, accuracy), keys)


def _summaries(
    study: Study, subject: Subject, store: Store, what: tuple[MethodUse, AccuracyUse], keys: list[list[str]]
) -> Iterator[AccuracySummary]:
    use, accuracy = what
    names = [photo.name for photo in subject.photos]
    for metric_setting in accuracy.settings:
        for position, setting in enumerate(use.settings):
            maps = [row[position] for row in keys]
            own = [score_key(accuracy.metric, metric_setting, key) for key in maps]
            known = store.scores(own)
            values = np.array([known[key].value if key in known else np.nan for key in own])
            yield AccuracySummary(
                model=subject.name,
                experiment=use.index,
                method=use.method.name,
                setting=setting_text(setting, None, only=tuple(use.axes)) or "default",
                metric=metric_text(accuracy.metric, metric_setting, accuracy.settings),
                score=interval(values, study.seed),
                higher_is_better=accuracy.metric.higher_is_better,
                per_image={
                    name: value for name, value in zip(names, values.tolist(), strict=True) if not math.isnan(value)
                },
                maps=dict(zip(names, maps, strict=True)),
            )


def _map_keys(study: Study, subject: Subject, use: MethodUse, image: int) -> list[str]:
    return [map_key(use.method, setting, study.seed, "", subject.address(image)) for setting in use.settings]


def _all_map_keys(study: Study, subject: Subject, image: int) -> list[str]:
    address = subject.address(image)
    return [map_key(method, setting, study.seed, "", address) for method, setting in scored_maps(study)]
