"""Computes the similarity of every pair that a study asks for, and the accuracy of its maps; keeps what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from sam_toolkit.component import MapFacts, PairMetric
from sam_toolkit.rng import Rng
from sam_toolkit.study.grouping import groups
from sam_toolkit.study.keys import score_key
from sam_toolkit.study.prepare import Subject
from sam_toolkit.study.spec import MetricUse, Study
from sam_toolkit.study.stacks import Line, Stack, stacks
from sam_toolkit.study.store import Score, Store
from sam_toolkit.types import Params

_ELEMENTS = 2**24
"""Numbers of maps held at once: 64 MiB."""


def scaled(maps: Tensor) -> Tensor:
    """Return maps `[..., H, W]` divided by their largest absolute value; a map of zeros stays as it is."""
    largest = maps.abs().amax(dim=(-2, -1), keepdim=True)
    return maps / torch.where(largest > 0, largest, torch.ones_like(largest))


def map_range(facts: MapFacts) -> tuple[float, float]:
    """Return the range of scaled maps: [-1, 1] where signed, else [0, 1]."""
    return (-1.0, 1.0) if facts.signed else (0.0, 1.0)


def pair_keys(metric: type[PairMetric[Any]], setting: Params, stack: Stack) -> list[str]:
    """Return the keys of the scores of a stack's lines for one metric setting, left open or not."""
    setting = metric(setting).for_range(setting, *map_range(stack.facts))
    return [score_key(metric, setting, stack.reference, line.key) for line in stack.lines]


def compare(study: Study, subjects: tuple[Subject, ...], store: Store, advance: Callable[[str], None]) -> None:
    """Fill the store with the scores that it lacks; pairs whose maps could not be computed stay out."""
    for same in stacks(study, subjects):
        advance(f"{subjects[same[0].model].name}, {same[0].use.method.name}, along {same[0].comparison.along}")
        for use in same[0].comparison.metrics:
            missing = [stack for stack in same if _lacks(store, use, stack)]
            for chunk in _chunks(missing, store, subjects):
                store.add_scores(_scores(study, subjects, store, use, chunk))


def _lacks(store: Store, use: MetricUse, stack: Stack) -> bool:
    keys = [key for setting in use.settings for key in pair_keys(use.metric, setting, stack)]
    return len(store.scores(keys)) < len(set(keys))


def _chunks(found: Sequence[Stack], store: Store, subjects: tuple[Subject, ...]) -> Iterator[list[Stack]]:
    """Yield stacks that have the same lines, as many as memory should hold; lines without a map are left out."""
    alike: dict[tuple[int, ...], list[Stack]] = {}
    for stack in found:
        have = store.known(stack.keys)
        lines = tuple(i for i, line in enumerate(stack.lines) if line.draw >= 0 or line.key in have)
        if stack.reference in have and lines:
            alike.setdefault(lines, []).append(stack)
    for lines, members in alike.items():
        _, height, width = subjects[members[0].model].shape
        size = max(1, _ELEMENTS // ((len(lines) + 1) * height * width))
        for start in range(0, len(members), size):
            yield [stack.only(tuple(stack.lines[i] for i in lines)) for stack in members[start : start + size]]


def _scores(
    study: Study, subjects: tuple[Subject, ...], store: Store, use: MetricUse, chunk: list[Stack]
) -> Iterator[Score]:
    maps = torch.stack([stack_maps(study, subjects[stack.model], store, stack) for stack in chunk], dim=1)
    pairs = torch.tensor([[0, line + 1] for line in range(len(chunk[0].lines))])
    low, high = map_range(chunk[0].facts)
    open_settings = [use.metric(setting).for_range(setting, low, high) for setting in use.settings]
    for settings in groups(use.metric, open_settings):
        metric = use.metric(settings[0])
        result = metric.compare(metric.prepare(maps, settings), pairs, settings)
        for s, setting in enumerate(settings):
            for n, stack in enumerate(chunk):
                for p, key in enumerate(pair_keys(use.metric, setting, stack)):
                    extras = {name: float(values[s, p, n]) for name, values in result.extras.items()}
                    yield Score(key, float(result.values[s, p, n]), extras)


def stack_maps(study: Study, subject: Subject, store: Store, stack: Stack) -> Tensor:
    """Return a stack's maps `[K, H, W]`, the reference first, scaled; random ones drawn."""
    stored = iter(scaled(store.maps(list(stack.keys))))
    reference = next(stored)
    return torch.stack([reference, *(_map(study, subject, stack, line, stored) for line in stack.lines)])


def _map(study: Study, subject: Subject, stack: Stack, line: Line, stored: Iterator[Tensor]) -> Tensor:
    if line.draw < 0:
        return next(stored)
    low, high = map_range(stack.facts)
    rng = Rng(study.seed).child("random-map")
    draw = rng.uniform(subject.photos[stack.image].digest, line.draw, subject.shape[1:])
    return scaled(low + (high - low) * draw)
