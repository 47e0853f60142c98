"""The iterates of walks side by side, and the worst of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from sam_toolkit.choice import Choice
from sam_toolkit.component import Method, PairMetric
from sam_toolkit.model import Model
from sam_toolkit.perturbations.budgets import Budget, Norm
from sam_toolkit.perturbations.objectives import normalised
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch

Direction = Callable[[int, int, Tensor], Tensor]
"""Returns where to go from images `[R, C, H, W]`: of which repetition, at which step, counted from 1."""

_ROUNDING = 1e-3
"""How far below a whole level of 255 a float32 may be that stands for it."""


class WalkSetting(Protocol):
    """What is asked of a walk's hyperparameters here."""

    of: Choice
    criterion: Choice
    eps: float
    norm: Norm

    def stride(self) -> float:
        """Return the size of a step."""


class Worst(NamedTuple):
    """The worst iterates of R walks: images, similarity to the clean map (1 where there is none), and step (then 0)."""

    images: Tensor
    scores: Tensor
    steps: Tensor

    @classmethod
    def start(cls, clean: Tensor) -> Worst:
        """Return the clean images, which every iterate that is less alike is worse than."""
        return cls(clean, torch.ones(len(clean), dtype=torch.float64), torch.zeros(len(clean), dtype=torch.float64))

    def met(self, other: Worst) -> Worst:
        """Return the worse of each two; NaN is worse than nothing."""
        worse = other.scores < self.scores
        return Worst(
            torch.where(worse[:, None, None, None].to(self.images.device), other.images, self.images),
            torch.where(worse, other.scores, self.scores),
            torch.where(worse, other.steps, self.steps),
        )

    def part(self, index: int, length: int) -> Worst:
        """Return rows `index * length` to `(index + 1) * length`."""
        return Worst(*(each[index * length : (index + 1) * length] for each in self))

    @classmethod
    def joined(cls, parts: Sequence[Worst]) -> Worst:
        """Return the rows of all parts."""
        return cls(*map(torch.cat, zip(*parts, strict=True)))


class Walkers(NamedTuple):
    """R images, some of them several times, that walk side by side, each in its own budget.

    Attributes:
        clean: normalised maps `[R, H, W]` of the clean images.
        labels: the label `[R]` that iterates keep.
        strides: sizes of steps `[R, 1, 1, 1]`.
        whole: whether iterates are cut down to whole levels of 255.
    """

    model: Model
    batch: Batch
    setting: WalkSetting
    clean: Tensor
    labels: Tensor
    budget: Budget
    strides: Tensor
    deviations: frozenset[str]
    rng: Rng

    @classmethod
    def at(
        cls, model: Model, batch: Batch, settings: Sequence[WalkSetting], deviations: frozenset[str], rng: Rng
    ) -> Walkers:
        """Return walkers at the clean images of a batch, one setting a row, which agree in all but their budgets."""
        setting, images = settings[0], batch.images
        eps, strides = (
            images.new_tensor(values)[:, None, None, None]
            for values in ([one.eps for one in settings], [one.stride() for one in settings])
        )
        labels = model.predict(images).cpu()
        if "given-label" in deviations:
            labels = torch.where(labels == batch.targets.cpu(), labels, -1)
        clean = maps_of(model, setting.of, batch, rng)
        budget = Budget(images, eps, setting.norm)
        return cls(model, batch, setting, clean, labels, budget, strides, deviations, rng)

    def maps(self, model: Model, images: Tensor) -> Tensor:
        """Return the normalised maps `[R, H, W]` of changed images by `model`."""
        return maps_of(model, self.setting.of, self.batch.with_images(images), self.rng)

    def similarity(self, images: Tensor) -> Tensor:
        """Return how alike `[R]` the maps of changed images and clean ones are; infinite where the label is another."""
        metric: PairMetric[Any] = self.setting.criterion.make()
        stack = torch.stack([self.clean, self.maps(self.model, images)])
        prepared = metric.prepare(stack, [metric.params])
        scores = metric.compare(prepared, torch.tensor([[0, 1]]), [metric.params]).values[0, 0].cpu()
        return torch.where(self.model.predict(images).cpu() == self.labels, scores, torch.inf)

    def moved(self, images: Tensor, direction: Tensor) -> Tensor:
        """Return the images a step further."""
        moved = self.budget.step(images, direction, self.strides)
        return (255 * moved + _ROUNDING).floor() / 255 if "whole-levels" in self.deviations else moved


def maps_of(model: Model, choice: Choice, batch: Batch, rng: Rng) -> Tensor:
    """Return the normalised maps `[N, H, W]`, with the draws that a study of the same seed makes."""
    method: Method[Any] = choice.make()
    return normalised(method.maps(model, batch, [method.params], Rng(rng.seed).child(method.name))[0])


def worst_iterates(
    walkers: Walkers, direction: Direction, wanted: Collection[int], repeats: int = 1
) -> dict[int, Worst]:
    """Return the worst iterates of walks from the clean images, for each number of steps that is wanted."""
    clean = walkers.batch.images
    found = dict.fromkeys(wanted, Worst.start(clean))
    for repeat in range(repeats):
        images, worst = clean, Worst.start(clean)
        for step in range(1, max(wanted) + 1):
            images = walkers.moved(images, direction(repeat, step, images))
            scores = walkers.similarity(images)
            worst = worst.met(Worst(images, scores, torch.full_like(scores, step)))
            if step in found:
                found[step] = found[step].met(worst)
    return found
