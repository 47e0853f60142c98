"""Computes the similarity of every pair that a study asks for; keeps what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from sam_toolkit.component import MapFacts, PairMetric, PairScores
from sam_toolkit.errors import ComponentError, SamError, StoreError
from sam_toolkit.rng import Rng
from sam_toolkit.study.faults import blamed, check_shape, merged
from sam_toolkit.study.grouping import groups
from sam_toolkit.study.keys import score_keys
from sam_toolkit.study.prepare import Subject
from sam_toolkit.study.results import Failure
from sam_toolkit.study.spec import MetricUse, Study
from sam_toolkit.study.stacks import Stack, stacks
from sam_toolkit.study.store import Score, Store
from sam_toolkit.study.treatment import Treatment, split
from sam_toolkit.types import Params

_ELEMENTS = 2**24
"""Numbers of maps held at once: 64 MiB."""

_USUAL = Treatment()


def pair_keys(metric: type[PairMetric[Any]], setting: Params, stack: Stack) -> list[str]:
    """Return the keys of the scores of a stack's lines for one metric setting, left open or not.

    Where the metric fails to take up the range of the maps, they are keys that no score has.
    """
    own, treatment = split(metric, setting)
    with suppress(ComponentError):
        own = _ranged(metric, own, treatment, stack.facts)
    return _keys(metric, own, treatment, stack)


def _ranged(metric: type[PairMetric[Any]], own: Params, treatment: Treatment, facts: MapFacts) -> Params:
    with blamed(f"Similarity {metric.name!r}"):
        ranged: Params = metric(own).for_range(own, *treatment.range(facts))
        return ranged


def _keys(metric: type[PairMetric[Any]], setting: Params, treatment: Treatment, stack: Stack) -> list[str]:
    how = () if treatment == _USUAL else (treatment.canonical(),)
    return score_keys(metric, setting, how, ((stack.other(line), line.key) for line in stack.lines))


def compare(study: Study, subjects: tuple[Subject, ...], store: Store, advance: Callable[[str], None]) -> list[Failure]:
    """Fill the store with the scores that it lacks, and return what could not be had.

    Pairs whose maps could not be computed stay out.
    """
    failures: list[Failure] = []
    for same in stacks(study, subjects):
        advance(f"{subjects[same[0].model].name}, {same[0].use.method.name}, along {same[0].comparison.along}")
        possible = [stack for stack in (_possible(stack, store) for stack in same) if stack.lines]
        for use in same[0].comparison.metrics:
            missing = [stack for stack in possible if _lacks(store, use, stack)]
            for chunk in _chunks(missing, subjects):
                failures += _keep(study, subjects, store, use, chunk)
    return merged(failures)


def _keep(
    study: Study, subjects: tuple[Subject, ...], store: Store, use: MetricUse, chunk: list[Stack]
) -> Iterator[Failure]:
    """Keep the scores of a chunk, or of each of its images alone where the metric fails; yield what is lacking."""
    try:
        store.add_scores(_scores(study, subjects, store, use, chunk))
    except StoreError:
        raise
    except SamError as error:
        if len(chunk) > 1:
            for stack in chunk:
                yield from _keep(study, subjects, store, use, [stack])
            return
        stack = chunk[0]
        subject, what = subjects[stack.model], f"compared by {use.metric.name} along {stack.comparison.along}"
        yield Failure(subject.name, stack.use.method.name, subject.photos[stack.image].name, what, str(error))


def _possible(stack: Stack, store: Store) -> Stack:
    """Return the stack with the lines whose maps are all there."""
    have = store.known({key for line in stack.lines for key in (stack.other(line), line.key)})
    return stack.only(
        tuple(line for line in stack.lines if stack.other(line) in have and (line.draw >= 0 or line.key in have))
    )


def _lacks(store: Store, use: MetricUse, stack: Stack) -> bool:
    keys = [key for setting in use.settings for key in pair_keys(use.metric, setting, stack)]
    return len(store.scores(keys)) < len(set(keys))


def _chunks(found: Sequence[Stack], subjects: tuple[Subject, ...]) -> Iterator[list[Stack]]:
    """Yield stacks that compare the same places of their maps, as many as memory should hold."""
    alike: dict[tuple[tuple[int, int], ...], list[Stack]] = {}
    for stack in found:
        alike.setdefault(tuple(_pairs(stack)), []).append(stack)
    for members in alike.values():
        _, height, width = subjects[members[0].model].shape
        size = max(1, _ELEMENTS // (len(_maps_of(members[0])) * height * width))
        for start in range(0, len(members), size):
            yield members[start : start + size]


def _maps_of(stack: Stack) -> dict[str, int]:
    """Return by key the draw of each map of a stack that is a random one, -1 for those of the store, in order."""
    found: dict[str, int] = {}
    for line in stack.lines:
        found.setdefault(stack.other(line), -1)
        found.setdefault(line.key, line.draw)
    return found


def _pairs(stack: Stack) -> list[tuple[int, int]]:
    places = {key: place for place, key in enumerate(_maps_of(stack))}
    return [(places[stack.other(line)], places[line.key]) for line in stack.lines]


def _scores(
    study: Study, subjects: tuple[Subject, ...], store: Store, use: MetricUse, chunk: list[Stack]
) -> Iterator[Score]:
    raw = torch.stack([_raw_maps(study, subjects[stack.model], store, stack) for stack in chunk], dim=1)
    pairs, facts = torch.tensor(_pairs(chunk[0])), chunk[0].facts
    wanted: dict[Treatment, list[Params]] = {}
    for setting in use.settings:
        own, treatment = split(use.metric, setting)
        wanted.setdefault(treatment, []).append(_ranged(use.metric, own, treatment, facts))
    for treatment, own_settings in wanted.items():
        maps = treatment.apply(raw, facts)
        for settings in groups(use.metric, own_settings):
            metric = use.metric(settings[0])
            who = f"Similarity {metric.name!r}"
            with blamed(who):
                result = metric.compare(metric.prepare(maps, settings), pairs, settings)
            for name, values in {"values": result.values, **result.extras}.items():
                check_shape(values, (len(settings), len(pairs), len(chunk)), f"{who}: {name}")
            for s, setting in enumerate(settings):
                for n, stack in enumerate(chunk):
                    scores = result.each(lambda stacked, s=s, n=n: stacked[s, :, n])  # type: ignore[misc]
                    yield from _listed(_keys(use.metric, setting, treatment, stack), scores)


def _listed(keys: Sequence[str], scores: PairScores) -> Iterator[Score]:
    """Yield the scores `[P]` of the pairs that have these keys."""
    extras = {name: values.tolist() for name, values in scores.extras.items()}
    for place, (key, value) in enumerate(zip(keys, scores.values.tolist(), strict=True)):
        yield Score(key, value, {name: values[place] for name, values in extras.items()})


def _raw_maps(study: Study, subject: Subject, store: Store, stack: Stack) -> Tensor:
    """Return the maps `[K, H, W]` of a stack as methods gave them, in the order of `_maps_of`; random ones drawn."""
    wanted = _maps_of(stack)
    keys = [key for key, draw in wanted.items() if draw < 0]
    stored = dict(zip(keys, store.maps(keys), strict=True))
    return torch.stack([
        stored[key] if draw < 0 else _random_map(study, subject, stack, draw) for key, draw in wanted.items()
    ])  # fmt: skip


def stack_maps(study: Study, subject: Subject, store: Store, stack: Stack) -> Tensor:
    """Return a stack's maps `[K, H, W]` as they are shown, the reference first, then one a line; random ones drawn."""
    stored = iter(store.maps(list(stack.keys)))
    first = [next(stored)] if stack.reference else []
    maps = (
        next(stored) if line.draw < 0 else _random_map(study, subject, stack, line.draw) for line in stack.lines
    )  # fmt: skip
    return _USUAL.apply(torch.stack([*first, *maps]), stack.facts)


def _random_map(study: Study, subject: Subject, stack: Stack, draw: int) -> Tensor:
    low, high = _USUAL.range(stack.facts)
    rng = Rng(study.seed).child("random-map")
    return low + (high - low) * rng.uniform(subject.photos[stack.image].digest, draw, subject.shape[1:])
