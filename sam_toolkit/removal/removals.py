"""Removal operators: what stands where a player is removed, over which predictions are averaged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from sam_toolkit.errors import ComponentError
from sam_toolkit.fills import Fill, Filling
from sam_toolkit.model import Model
from sam_toolkit.removal.gaussian import Gaussian
from sam_toolkit.removal.players import Players
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch

Impute = Callable[[Tensor, Tensor], Tensor]
"""Makes network inputs `[R, ...]` of masks `[R, d]` (bool, what is shown) and numbers of draws `[R]`."""


@dataclass(frozen=True, eq=False)
class Scene:
    """What players are removed from.

    Attributes:
        batch: the one input, an image `[1, C, H, W]` or a row of a table `[1, F]`, with its target.
    """

    model: Model
    batch: Batch
    players: Players
    rng: Rng

    @cached_property
    def inputs(self) -> Tensor:
        """Return the network input, `[C, H, W]` or `[F]`."""
        return self.model.inputs(self.batch.images)[0]

    def shown(self, masks: Tensor) -> Tensor:
        """Return which elements masks `[R, d]` show, bool `[R, ...]` that broadcasts to inputs."""
        shown = self.players.shown(masks.to(self.inputs.device))
        return shown.reshape(len(shown), *[1] * (self.inputs.dim() - shown.dim() + 1), *shown.shape[1:])

    def put(self, masks: Tensor, hidden: Tensor) -> Tensor:
        """Return the input where masks `[R, d]` show it, and `hidden` (`[R, ...]` or one input) elsewhere."""
        return torch.where(self.shown(masks), self.inputs, hidden)


class Removal(ABC):
    """f(x_S), the mean over `draws` inputs in which what S lacks was replaced."""

    conditional: ClassVar[bool] = False
    """Whether what is put in depends on what is shown."""

    @property
    def draws(self) -> int:
        """Return the network rows that one subset costs."""
        return 1

    def network(self, model: Model) -> Model:
        """Return the model that is asked for f(x_S)."""
        return model

    @abstractmethod
    def imputer(self, scene: Scene) -> Impute:
        """Return what makes the network inputs; raises ComponentError where the input does not fit."""


@dataclass(frozen=True, eq=False)
class Baseline(Removal):
    """One fixed value: zeros, a mean, a blur, any tensor.

    Attributes:
        fill: a fill of `sam_toolkit.fills` for images, or numbers that broadcast to one input, in its own units.
        blur_sigma: standard deviation of the blur in pixels; a blur depends on the input it is made of.
        seed: seed of the noise.
    """

    fill: Fill | Tensor = "mean"
    blur_sigma: float = 10.0
    seed: int = 0

    def imputer(self, scene: Scene) -> Impute:
        """Return what puts the baseline in; raises ComponentError where it does not broadcast to the input."""
        hidden = self._hidden(scene)
        return lambda masks, draws: scene.put(masks, hidden)

    def _hidden(self, scene: Scene) -> Tensor:
        shape = scene.batch.images.shape[1:]
        if isinstance(self.fill, str | tuple) and (self.fill == "mean" or len(shape) == 3):
            filling = Filling.of(self.fill, self.blur_sigma, self.seed)
            return filling.everywhere(scene.model, scene.batch, scene.rng)[0]
        if isinstance(self.fill, str):
            raise ComponentError(
                f"the fill {self.fill!r} is for images [C, H, W]; got an input {list(shape)}. Give numbers."
            )
        given = torch.as_tensor(self.fill, dtype=scene.batch.images.dtype)
        try:
            return scene.model.inputs(given.expand(shape))
        except RuntimeError:
            raise ComponentError(
                f"a baseline must broadcast to one input, {list(shape)}; got {list(given.shape)}."
            ) from None


@dataclass(frozen=True, eq=False)
class Marginal(Removal):
    """Every row of a background set in turn, whatever is shown: removed players keep their joint law.

    Attributes:
        background: inputs `[B, ...]`, in the units of the one explained.
    """

    background: Tensor

    @property
    def draws(self) -> int:
        """Return B."""
        return len(self.background)

    def imputer(self, scene: Scene) -> Impute:
        """Return what puts a row of the background in; raises ComponentError where rows are no such inputs."""
        background = _background(self.background, scene)
        return lambda masks, draws: scene.put(masks, background[draws.to(background.device)])


@dataclass(frozen=True, eq=False)
class Nearest(Removal):
    """The rows of a background set that are nearest in what is shown, by Euclidean distance of network inputs.

    Where distances tie, as with nothing shown, the first rows of the background count.

    Attributes:
        background: inputs `[B, ...]`, in the units of the one explained.
        neighbours: rows that are averaged over.
    """

    conditional = True
    background: Tensor
    neighbours: int = 10

    @property
    def draws(self) -> int:
        """Return the number of neighbours."""
        return self.neighbours

    def imputer(self, scene: Scene) -> Impute:
        """Return what puts a near row in; raises ComponentError where there are too few, or they are no such inputs."""
        if not 1 <= self.neighbours <= len(self.background):
            raise ComponentError(
                f"neighbours must be from 1 to the {len(self.background)} rows of the background; "
                f"got {self.neighbours}."
            )
        background, players = _background(self.background, scene), scene.players
        squares = (background - scene.inputs).double().square()
        own = squares.reshape(len(background), -1, players.labels.numel()).sum(dim=1)
        apart = own.new_zeros(len(background), players.count)
        apart = apart.index_add_(1, players.labels.flatten().to(own.device), own).T

        def impute(masks: Tensor, draws: Tensor) -> Tensor:
            order = (masks.to(apart) @ apart).argsort(dim=1, stable=True)
            return scene.put(masks, background[order.gather(1, draws.to(order.device)[:, None])[:, 0]])

        return impute


@dataclass(frozen=True, eq=False)
class GaussianConditional(Removal):
    """The law of what is removed given what is shown, for inputs with a normal distribution.

    The law is exact; its expectation is the mean over `samples` quasi-random points, the same for all subsets and
    inputs, so that differences between them are not noise.

    Attributes:
        law: the distribution of inputs, flattened.
        samples: points, best a power of two.
        seed: how the points are scrambled.
    """

    conditional = True
    law: Gaussian
    samples: int = 512
    seed: int = 0

    @property
    def draws(self) -> int:
        """Return the number of points."""
        return self.samples

    @cached_property
    def points(self) -> Tensor:
        """Return the points, standard normal, float64 `[samples, F]`."""
        engine = torch.quasirandom.SobolEngine(len(self.law.mean), scramble=True, seed=self.seed)
        uniform = engine.draw(self.samples, dtype=torch.float64)
        normal: Tensor = torch.special.ndtri(uniform.clamp(1e-12, 1 - 1e-12))
        return normal

    def imputer(self, scene: Scene) -> Impute:
        """Return what draws from the conditional law; raises ComponentError where inputs have another size."""
        images, law = scene.batch.images, self.law
        if images[0].numel() != len(law.mean):
            raise ComponentError(
                f"the distribution is of {len(law.mean)} numbers, but the input has {images[0].numel()}."
            )
        points, off = self.points, images[0].flatten().double().cpu() - law.mean

        @lru_cache(maxsize=64)
        def given(shown: tuple[bool, ...]) -> tuple[Tensor, Tensor]:
            kept = torch.tensor(shown)
            slope, root = law.given(kept)
            return law.mean[~kept] + slope @ off[kept], points[:, ~kept] @ root

        def impute(masks: Tensor, draws: Tensor) -> Tensor:
            shown = scene.shown(masks).expand(-1, *images.shape[1:]).flatten(1).cpu()
            hidden = torch.zeros(len(masks), len(off), dtype=torch.float64)
            # The rows of one mask follow each other.
            starts = [0, *((shown[1:] != shown[:-1]).any(dim=1).nonzero()[:, 0] + 1).tolist(), len(shown)]
            for start, stop in pairwise(starts):
                kept = shown[start]
                mean, moved = given(tuple(kept.tolist()))
                hidden[start:stop, ~kept] = mean + moved[draws[start:stop].cpu()]
            return scene.put(masks, scene.model.inputs(hidden.to(images).reshape(-1, *images.shape[1:])))

        return impute


@dataclass(frozen=True, eq=False)
class Surrogate(Removal):
    """A network of the user's, trained to say f(x_S) from the masked input and what is shown.

    The theory of removal holds with the surrogate's Lipschitz constant, not with that of the model.

    Attributes:
        module: takes inputs that are 0 where removed, `[R, ...]`, and what is shown (1 or 0, of the same shape);
            returns logits `[R, K]`. Its rows are counted apart from the model's.
    """

    conditional = True
    module: nn.Module

    def network(self, model: Model) -> Model:
        """Return the surrogate as a model."""
        return Model(_Unpacked(self.module), f"surrogate of {model.name}", chunk=model.chunk)

    def imputer(self, scene: Scene) -> Impute:
        """Return what packs the masked input with what is shown."""
        nothing = torch.zeros_like(scene.inputs)

        def impute(masks: Tensor, draws: Tensor) -> Tensor:
            inputs = scene.put(masks, nothing)
            return torch.stack([inputs, scene.shown(masks).to(inputs).expand_as(inputs)], dim=1)

        return impute


class _Unpacked(nn.Module):
    """The surrogate, for rows of a masked input and what is shown, packed together."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, packed: Tensor) -> Tensor:
        result: Tensor = self.module(packed[:, 0], packed[:, 1])
        return result


def _background(given: Tensor, scene: Scene) -> Tensor:
    """Return a background set as network inputs."""
    shape = scene.batch.images.shape[1:]
    if given.shape[1:] != shape or not len(given):
        raise ComponentError(
            f"a background set must hold inputs like the one explained, [B, {', '.join(map(str, shape))}]; "
            f"got {list(given.shape)}."
        )
    return scene.model.inputs(given.to(scene.batch.images))
