"""A random walk of which the worst iterate is kept: the baseline of attacks that looks at maps, but follows nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from sam_toolkit.perturbations.iterates import Direction, Walkers
from sam_toolkit.perturbations.walks import Walk, WalkParams
from sam_toolkit.types import field


class RandomWalkParams(WalkParams):
    """Hyperparameters of the random walk."""

    conventions: ClassVar[Mapping[str, Mapping[str, Any]]] = {"lens-2024": {"repeats": 3}}

    repeats: int = field(1, ge=1, help="walks from the clean image, of which the worst iterate is kept; LENS: 3")
    seed: int = field(0, ge=0, help="seed of the steps; the draws are the same for every budget")


class RandomWalk(Walk[RandomWalkParams]):
    """Steps in random directions within a budget; the iterate with the least similar map and the clean label is kept.

    It is the "random attack" of the LENS code, a best of many and so stronger than random signs of the same size.
    """

    name = "random-walk"

    def direction(self, walkers: Walkers, setting: RandomWalkParams) -> Direction:
        """Return draws from N(0, 1), fresh at each step."""
        stream, shape = walkers.rng.child(setting.seed), walkers.batch.images.shape[1:]

        def drawn(repeat: int, step: int, images: Tensor) -> Tensor:
            own = stream.child(repeat)
            return torch.stack([own.normal(name, step, shape) for name in walkers.batch.ids]).to(images)

        return drawn

    def repeats(self, setting: RandomWalkParams) -> int:
        """Return the setting's."""
        return setting.repeats
