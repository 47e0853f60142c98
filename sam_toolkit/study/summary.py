"""Turns the scores of a store into results: curves, sensitivity indices with their floors, strips of maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sam_toolkit.component import PairMetric
from sam_toolkit.study.compare import pair_keys, stack_maps
from sam_toolkit.study.labels import metric_text
from sam_toolkit.study.prepare import Subject
from sam_toolkit.study.results import Row, Sensitivity, Strip, ValueSummary
from sam_toolkit.study.spec import Study
from sam_toolkit.study.stacks import Line, Stack, stacks
from sam_toolkit.study.statistics import Values, deviations, index, interval
from sam_toolkit.study.store import Score, Store
from sam_toolkit.types import Params


@dataclass(frozen=True)
class Table:
    """Scores `[lines, images]` of one model, experiment and comparison by one metric; NaN where there is none.

    So are `extras`, by name, what the metric says beside its scores.
    """

    stacks: tuple[Stack, ...]
    metric: str
    model: str
    images: tuple[str, ...]
    scores: Values
    present: np.ndarray[Any, np.dtype[np.bool_]]
    extras: dict[str, Values]

    @property
    def lines(self) -> tuple[Line, ...]:
        """Return what each row of the table compares with the reference."""
        return self.stacks[0].lines

    def of(self, role: str) -> Values:
        """Return the rows of one role."""
        return self.scores[[line.role == role for line in self.lines]]

    def ends(self) -> tuple[Values, Values]:
        """Return each image's similarity of reruns, 1 where nothing is drawn, and of random maps."""
        reruns = self.of("rerun")
        return _mean(reruns) if len(reruns) else np.ones(len(self.images)), _mean(self.of("random"))

    def place(self) -> dict[str, Any]:
        """Return the fields that say where a result belongs."""
        first = self.stacks[0]
        return {
            "model": self.model,
            "experiment": first.use.index,
            "method": first.use.method.name,
            "along": first.comparison.along,
            "metric": self.metric,
            "reference": first.label,
        }


def tables(study: Study, subjects: tuple[Subject, ...], store: Store) -> Iterator[Table]:
    """Yield every table of the study, from the scores that the store has."""
    for same in stacks(study, subjects):
        subject = subjects[same[0].model]
        for use in same[0].comparison.metrics:
            for setting in use.settings:
                images = tuple(photo.name for photo in subject.photos)
                scores = _scores(store, use.metric, setting, same)
                name = metric_text(use.metric, setting, use.settings)
                yield Table(tuple(same), name, subject.name, images, *scores)


def _scores(
    store: Store, metric: type[PairMetric[Any]], setting: Params, same: list[Stack]
) -> tuple[Values, np.ndarray[Any, np.dtype[np.bool_]], dict[str, Values]]:
    keys = [pair_keys(metric, setting, stack) for stack in same]
    known = store.scores([key for row in keys for key in row])
    present = np.array([[key in known for key in row] for row in keys]).T
    names = sorted({name for score in known.values() for name in score.extras})

    def table(value: Callable[[Score], float]) -> Values:
        rows = [[value(known[key]) if key in known else np.nan for key in row] for row in keys]
        return np.array(rows, dtype=np.float64).T

    extras = {name: table(lambda score, name=name: score.extras.get(name, np.nan)) for name in names}  # type: ignore[misc]
    return table(lambda score: score.value), present, extras


def rows(table: Table) -> Iterator[Row]:
    """Yield the table's scores one by one; pairs that could not be computed are left out."""
    place = table.place()
    for position, line in enumerate(table.lines):
        for image, stack in enumerate(table.stacks):
            if table.present[position, image]:
                yield Row(
                    **place,
                    factor=line.factor,
                    value=line.value,
                    image=table.images[image],
                    role=line.role,
                    score=float(table.scores[position, image]),
                    map="" if line.draw >= 0 else stack.lines[position].key,
                    reference_map=stack.other(stack.lines[position]),
                    extras={name: float(values[position, image]) for name, values in table.extras.items()},
                )


def value_summaries(table: Table, seed: int) -> Iterator[ValueSummary]:
    """Yield the similarity at each value of each factor, over images, and how far it is from its ends."""
    floor, random = table.ends()
    for position, (line, scores) in enumerate(zip(table.lines, table.scores, strict=True)):
        if line.role == "value":
            yield ValueSummary(
                **table.place(),
                factor=line.factor,
                value=line.value,
                number=line.number,
                similarity=interval(scores, seed),
                over_random=interval(scores - random, seed),
                under_floor=interval(floor - scores, seed),
                extras={name: _defined_mean(values[position]) for name, values in table.extras.items()},
            )


def _defined_mean(values: Values) -> float:
    """Return the mean of what is defined, NaN where nothing is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else np.nan


def sensitivities(table: Table, seed: int) -> Iterator[Sensitivity]:
    """Yield how far each factor moves the map, read against the rerun and random floors of the same images."""
    floor, random = table.ends()
    for factor in dict.fromkeys(line.factor for line in table.lines if line.role == "value"):
        chosen = [line.role == "value" and line.factor == factor for line in table.lines]
        similarity = _mean(table.scores[chosen])
        moved = index(similarity, floor, random)
        within, across = deviations(table.scores[chosen])
        yield Sensitivity(
            **table.place(),
            factor=factor,
            values=tuple(line.value for line, own in zip(table.lines, chosen, strict=True) if own),
            index=interval(moved, seed),
            similarity=interval(similarity, seed),
            floor=interval(floor, seed),
            random=interval(random, seed),
            per_image=dict(zip(table.images, moved.tolist(), strict=True)),
            deterministic=not len(table.of("rerun")),
            within=within,
            across=across,
        )


def _mean(scores: Values) -> Values:
    """Return the mean over lines, NaN for an image where any line is undefined: a mean of fewer is another question."""
    return scores.mean(axis=0) if len(scores) else np.full(scores.shape[1], np.nan)


def strips(study: Study, subjects: tuple[Subject, ...], store: Store, images: int) -> Iterator[Strip]:
    """Yield the maps of the first `images` photographs along each factor; what could not be computed is left out."""
    for same in stacks(study, subjects):
        for stack in same[:images]:
            factors = dict.fromkeys(line.factor for line in stack.lines if line.role == "value")
            for factor in factors:
                yield from _strip(study, subjects[stack.model], store, stack, factor)


def _strip(study: Study, subject: Subject, store: Store, stack: Stack, factor: str) -> Iterator[Strip]:
    have = store.known(stack.keys)
    lines = tuple(line for line in stack.lines if line.factor == factor and line.key in have)
    if stack.reference not in have or not lines:
        return
    chosen = stack.only(lines)
    photo = subject.photos[stack.image]
    yield Strip(
        model=subject.name,
        experiment=stack.use.index,
        method=stack.use.method.name,
        along=stack.comparison.along,
        factor=factor,
        image=photo.name,
        target=subject.target(stack.image),
        photo=subject.model.image(photo),
        labels=(stack.label, *(line.value for line in lines)),
        maps=stack_maps(study, subject, store, chosen),
        signed=stack.facts.signed,
        keys=chosen.keys,
    )
