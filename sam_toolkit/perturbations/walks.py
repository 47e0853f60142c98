"""Walks within a budget of which the worst iterate is kept: what attacks and their random baseline have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

import torch
from torch import Tensor

from sam_toolkit.choice import Choice, ChoiceOf
from sam_toolkit.component import Method, PairMetric, Perturbation, Perturbed
from sam_toolkit.methods import Gradient
from sam_toolkit.metrics import Kendall
from sam_toolkit.model import Model
from sam_toolkit.perturbations.budgets import BudgetParams, Size, sizes
from sam_toolkit.perturbations.iterates import Direction, Walkers, Worst, worst_iterates
from sam_toolkit.perturbations.random_sign import RandomSign
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch, field

Deviation = Literal["lens-2024", "given-label", "whole-levels", "truncated-centre", "windows"]
"""A deviation's name; all of them together."""

_ABOUT = (
    "deviations of LENS's released code. given-label: the label that is kept is the target, not the clean prediction, "
    "so that images which the network gets wrong stay as they are; whole-levels: iterates are cut down to whole levels "
    "of 255; truncated-centre: a centre of mass is led away from the clean one cut down to whole pixels; "
    "windows: those of top-k are the metrics' with row-wrap and flower-window; lens-2024: all of them, whole levels "
    "for images of 32 x 32 and 128 x 128 alone"
)
_WHOLE_LEVELS = ((32, 32), (128, 128))
_ROWS = 64
"""Network rows whose maps are held with their graph at a time."""


class WalkParams(BudgetParams):
    """Hyperparameters of every walk."""

    of: Annotated[Choice, ChoiceOf(Method)] = field(
        Choice(Gradient, Gradient.setting(channels="abs-sum")), help="the method whose maps are attacked"
    )
    steps: int = field(50, ge=1, help="steps; fewer are the first of more")
    alpha: Size | None = field(None, gt=0, help="size of a step in image units; none: a tenth of eps")
    criterion: Annotated[Choice, ChoiceOf(PairMetric)] = field(
        Choice(Kendall, Kendall.setting()), help="the similarity to the clean map by which the worst iterate is chosen"
    )
    compat: Deviation | tuple[Deviation, ...] | None = field(None, help=_ABOUT)

    def stride(self) -> float:
        """Return the size of a step."""
        return self.eps / 10 if self.alpha is None else self.alpha

    def deviations(self, size: tuple[int, int]) -> frozenset[str]:
        """Return the deviations that are kept for images of `size`."""
        named = set(self.compat if isinstance(self.compat, tuple) else (self.compat or (),))
        if "lens-2024" not in named:
            return frozenset(map(str, named))
        every = set(Deviation.__args__)  # type: ignore[attr-defined]
        return frozenset(every if size in _WHOLE_LEVELS else every - {"whole-levels"} | named)


P = TypeVar("P", bound=WalkParams)


class Walk(Perturbation[P]):
    """A walk within a budget, of whose iterates that is kept whose map is least like the clean one.

    Iterates that change the predicted label are never kept. Where none is left, the clean image is the result, and the
    attack has failed.
    """

    reference = (
        "Ghorbani, Abid and Zou, Interpretation of Neural Networks Is Fragile, AAAI 2019, arXiv:1710.10547; Kamath et "
        "al., Rethinking Robustness of Model Attributions, AAAI 2024, arXiv:2312.10534"
    )
    tolerance = 0.1
    """Steps go by signs of gradients: where one is nearly zero, rounding decides, and the walk goes on from there."""

    def shares(self, params: P) -> frozenset[str]:
        """Return the fields along which walks are nested (steps) or go side by side (budgets)."""
        return frozenset({"steps", "eps", "alpha"})

    def controls(self, params: P) -> tuple[Perturbation[Any], ...]:
        """Return random signs of the same size."""
        norm = {} if params.norm == "l-inf" else {"norm": params.norm}
        return (RandomSign(eps=params.eps, **norm),)

    @abstractmethod
    def direction(self, walkers: Walkers, setting: P) -> Direction:
        """Return where a walk goes; raises ComponentError where the setting does not fit the images."""

    def step_rows(self, map_rows: int) -> int:
        """Return the network rows of one step, beyond those of looking at where it led; `map_rows` are a map's."""
        return 0

    def repeats(self, setting: P) -> int:
        """Return how many walks each image takes."""
        return 1

    def rows(self, settings: Sequence[P], shape: tuple[int, int, int]) -> int:
        """Return the rows of all steps, and of the clean image, whatever becomes of it; none without a budget."""
        maps = _map_rows(settings[0], shape)
        steps = self.repeats(settings[0]) * max((setting.steps for setting in settings if setting.eps), default=0)
        return len(_walks(settings)) * (steps * (self.step_rows(maps) + maps + 1) + maps + 1)

    def images(self, model: Model, batch: Batch, settings: Sequence[P], rng: Rng) -> Tensor:
        """Return changed images `[S, N, C, H, W]`."""
        return self.perturbed(model, batch, settings, rng).images

    def perturbed(self, model: Model, batch: Batch, settings: Sequence[P], rng: Rng) -> Perturbed:
        """Return changed images; how far each moved, whether the attack succeeded, when, how alike its maps are."""
        walks = _walks(settings)
        rows = [(walk, image) for walk in walks for image in range(len(batch))]
        channels, height, width = batch.images.shape[1:]
        together = max(1, _ROWS // _map_rows(settings[0], (channels, height, width)))
        parts = [
            self._worst(model, batch, rows[start : start + together], settings, rng)
            for start in range(0, len(rows), together)
        ]
        found = {steps: Worst.joined([part[steps] for part in parts]) for steps in (parts[0] if parts else ())}
        own = [
            found[one.steps].part(walks.index(_walk(one)), len(batch)) if one.eps else Worst.start(batch.images)
            for one in settings
        ]
        images, similarity, step = (torch.stack(each) for each in zip(*own, strict=True))
        extras = {"succeeded": (step > 0).double(), "similarity": similarity, "step": step}
        return Perturbed(images, {**extras, **sizes(batch.images, images)})

    def _worst(
        self, model: Model, batch: Batch, rows: Sequence[tuple[P, int]], settings: Sequence[P], rng: Rng
    ) -> dict[int, Worst]:
        """Return the worst iterates of some rows, by number of steps."""
        setting = settings[0]
        size = (batch.images.shape[-2], batch.images.shape[-1])
        walkers = Walkers.at(
            model, batch.select([image for _, image in rows]), [walk for walk, _ in rows], setting.deviations(size), rng
        )
        direction = self.direction(walkers, setting)
        wanted = {one.steps for one in settings if one.eps}
        return worst_iterates(walkers, direction, wanted, self.repeats(setting))


def _walk(setting: P) -> P:
    return setting.varied(steps=1, alpha=setting.stride())


def _walks(settings: Sequence[P]) -> list[P]:
    """Return the different walks that settings are the beginnings of; one without a budget goes nowhere."""
    return list(dict.fromkeys(_walk(setting) for setting in settings if setting.eps))


def _map_rows(setting: WalkParams, shape: tuple[int, int, int]) -> int:
    method: Method[Any] = setting.of.make()
    return method.rows([method.params], shape)
