"""Masks that are optimised side by side, each as if by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sam_toolkit.methods.mask_starts import Start
from sam_toolkit.methods.soft_masks import Cover, Scenes, View
from sam_toolkit.model import Score


class Penalty(NamedTuple):
    """What a mask costs by itself, whatever the network says of it.

    Attributes:
        l1: weight of the sum of what is hidden.
        tv: weight of the sum of |difference|^exponent over neighbours, above one another and side by side.
    """

    l1: float
    tv: float
    exponent: float

    def of(self, masks: Tensor) -> Tensor:
        """Return the penalty `[N]` of masks `[N, size, size]`."""
        neighbours = [masks.diff(dim=dim).abs().pow(self.exponent).sum(dim=(1, 2)) for dim in (1, 2)]
        return self.l1 * (1 - masks).abs().sum(dim=(1, 2)) + self.tv * sum(neighbours)

    def gradient(self, masks: Tensor) -> Tensor:
        """Return its gradient `[N, size, size]`."""
        with torch.enable_grad():
            masks = masks.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.of(masks).sum(), masks)
        return gradient


class Adam(NamedTuple):
    """The hyperparameters of Adam."""

    learning_rate: float
    beta1: float
    beta2: float
    epsilon: float

    def over(self, masks: Tensor) -> torch.optim.Adam:
        """Return the optimiser; as it works element by element, each mask has a state of its own."""
        return torch.optim.Adam([masks], self.learning_rate, (self.beta1, self.beta2), self.epsilon)


class Run(NamedTuple):
    """What the masks of one optimisation depend on.

    Attributes:
        cover: how masks hide.
        seed: seed of the jitter; 0 where there is none.
    """

    cover: Cover
    penalty: Penalty
    adam: Adam
    start: Start
    seed: int


class Course(NamedTuple):
    """Where a run starts, masks `[N, size, size]` in float64, and after which numbers of steps masks are taken."""

    start: Tensor
    snapshots: frozenset[int]


class _Descent:
    """A run under way."""

    def __init__(self, run: Run, course: Course, scenes: Scenes) -> None:
        self.steps = max(course.snapshots)
        self.found: dict[int, Tensor] = {}
        self._run, self._snapshots, self._scenes = run, course.snapshots, scenes
        self._stream = scenes.rng.child("jitter", run.seed)
        self._masks = course.start.to(scenes.model.device, copy=True)
        self._adam = run.adam.over(self._masks)
        self._offsets: list[tuple[int, int]] = []
        self._views: dict[int, View] = {}

    def look(self, step: int) -> None:
        """Draw where the images are at this step."""
        cover, names = self._run.cover, self._scenes.batch.ids
        self._offsets = [cover.jitter.draw(self._stream, name, step) for name in names]

    def input(self, image: int) -> Tensor:
        """Return what the network sees of an image, `[C, H, W]`."""
        self._views[image] = self._scenes.view(self._run.cover, image, self._offsets[image])
        return self._views[image].under(self._masks[image])

    def pull(self, image: int, gradient: Tensor) -> Tensor:
        """Return the gradient at an image's mask, `[size, size]`, from that at the input that was made last."""
        return self._views.pop(image).pull(gradient)

    def update(self, step: int, gradients: Tensor) -> None:
        """Take a step against the gradients of the scores at the masks, `[N, size, size]`, and of the penalty."""
        self._masks.grad = gradients + self._run.penalty.gradient(self._masks)
        self._adam.step()
        self._masks.clamp_(0, 1)
        if step + 1 in self._snapshots:
            self.found[step + 1] = self._masks.clone()


def optimise(courses: Mapping[Run, Course], scenes: Scenes, score: Score) -> dict[Run, dict[int, Tensor]]:
    """Return, for each run, its masks `[N, size, size]` after each number of steps that its course names.

    At every step the images of all runs that have not come to their end go through the network together.
    """
    descents = {run: _Descent(run, course, scenes) for run, course in courses.items()}
    for step in range(max(descent.steps for descent in descents.values())):
        _advance([descent for descent in descents.values() if step < descent.steps], step, scenes, score)
    return {run: descent.found for run, descent in descents.items()}


def _advance(descents: Sequence[_Descent], step: int, scenes: Scenes, score: Score) -> None:
    for descent in descents:
        descent.look(step)
    images = len(scenes.batch)
    rows = [(descent, image) for descent in descents for image in range(images)]

    def build(start: int, stop: int) -> Tensor:
        return torch.stack([descent.input(image) for descent, image in rows[start:stop]])

    pulled: list[Tensor] = []
    for first, gradients in scenes.model.gradients(build, scenes.batch.targets.repeat(len(descents)), score):
        own = rows[first : first + len(gradients)]
        pulled += [descent.pull(image, gradient) for (descent, image), gradient in zip(own, gradients, strict=True)]
    for position, descent in enumerate(descents):
        descent.update(step, torch.stack(pulled[position * images : (position + 1) * images]))
