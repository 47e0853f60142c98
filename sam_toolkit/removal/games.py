"""Games: the prediction for every subset of players, evaluated once for every summary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict, Unpack

import torch
from torch import Tensor, nn

from sam_toolkit.errors import ComponentError
from sam_toolkit.model import Build, Model, Score
from sam_toolkit.removal.players import Players, features
from sam_toolkit.removal.removals import Removal, Scene
from sam_toolkit.removal.symmetric import MOST_ENUMERATED, presence
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch, tensor_digest

_TABLE_CHUNK = 8192
"""Rows of a table sent through a bare module at once."""


class Asked(TypedDict, total=False):
    """What is asked of the model.

    Attributes:
        target: the class; the predicted one by default. Two inputs or models are compared on one class: name it.
        score: the target's probability (the default) or logit, or the vector of all "probabilities" or "logits".
    """

    target: int
    score: Score | Literal["probabilities", "logits"]


@dataclass(frozen=True, eq=False)
class Game:
    """The value of subsets of players.

    Attributes:
        players: d.
        values: float64 `[2^d]` where exact, by code of the subset (bit i is set where player i is present), else `[M]`
            by mask; `[K, ...]` for vectors.
        sampled: the masks `[M, d]`; None where exact.
    """

    players: int
    values: Tensor
    sampled: Tensor | None = None

    @property
    def exact(self) -> bool:
        """Return whether there is a value for every subset."""
        return self.sampled is None

    @property
    def masks(self) -> Tensor:
        """Return the subsets in the order of the values, bool `[M, d]`, true where a player is present."""
        return presence(self.players) if self.sampled is None else self.sampled

    def of(self, masks: Tensor) -> Tensor:
        """Return the values `[..., M]` of other masks `[M, d]`; raises ComponentError where one was not evaluated."""
        if self.sampled is None:
            return self.values[..., codes(masks)]
        joined = torch.cat([self.sampled, masks])
        _, which = joined.unique(dim=0, return_inverse=True)
        known = torch.full((int(which.max()) + 1,), -1)
        known[which[: len(self.sampled)]] = torch.arange(len(self.sampled))
        places = known[which[len(self.sampled) :]]
        if bool((places < 0).any()):
            raise ComponentError(
                f"{int((places < 0).sum())} of {len(masks)} masks were not evaluated in this game; "
                "make it with these masks, or exact."
            )
        return self.values[..., places]


def codes(masks: Tensor) -> Tensor:
    """Return the code of masks `[M, d]`, int64 `[M]`: bit i is set where player i is present."""
    return (masks.long() << torch.arange(masks.shape[1])).sum(dim=1)


def game(
    model: Model | nn.Module,
    image: Tensor,
    players: Players | None,
    removal: Removal,
    masks: Tensor | None = None,
    **asked: Unpack[Asked],
) -> Game:
    """Return the value of every subset of at most 16 players, or of `masks`; each different one is evaluated once.

    Args:
        model: a bare module takes the input as it is, and rows of a table by thousands at once.
        image: the one input, an image `[C, H, W]` or a row of a table `[F]`.
        players: what is shown or removed together; None: each number of a row by itself.
        removal: what stands where a player is removed.
        masks: bool `[M, d]`; the same ones for inputs or models that are compared.
        **asked: `target` and `score`.

    Raises:
        ComponentError: the parts do not fit each other, or there are too many players for all subsets.
        ModelError: the network cannot take the input, or gave numbers that are not finite.
    """
    if not isinstance(model, Model):
        model = Model(model, chunk=_TABLE_CHUNK if image.dim() == 1 else None)
    players = features(len(image)) if players is None else players
    target = asked["target"] if "target" in asked else int(model.predict(image[None]))
    batch = Batch(image[None], torch.tensor([target]), (tensor_digest(image),))
    evaluator = Evaluator(Scene(model, batch, players, Rng().child("game")), removal, asked.get("score", "probability"))
    if masks is None:
        return Game(players.count, evaluator.all())
    if masks.dtype != torch.bool or masks.dim() != 2 or masks.shape[1] != players.count or not len(masks):
        raise ComponentError(
            f"masks must be bool [M, {players.count}], true where a player is present; "
            f"got {masks.dtype} {list(masks.shape)}."
        )
    different, which = masks.cpu().unique(dim=0, return_inverse=True)
    return Game(players.count, evaluator.of(different)[..., which], masks.cpu())


class Evaluator:
    """Asks a model for the values of subsets of one input's players."""

    def __init__(
        self, scene: Scene, removal: Removal, score: Score | Literal["probabilities", "logits"] = "probability"
    ) -> None:
        """Remove players of `scene` by `removal`; raises ComponentError where these do not fit."""
        scene.players.fit(scene.batch.images[0])
        self._players, self._target, self._score = scene.players.count, scene.batch.targets, score
        self._network, self._draws = removal.network(scene.model), removal.draws
        self._impute = removal.imputer(scene)

    def all(self) -> Tensor:
        """Return the values of all subsets, float64 `[..., 2^d]`; raises ComponentError where they are too many."""
        if self._players > MOST_ENUMERATED:
            raise ComponentError(
                f"all subsets of {self._players} players are {2**self._players:,}; at most {MOST_ENUMERATED} players "
                "are enumerated. Take fewer players, or draw masks (sam_toolkit.removal.estimators)."
            )
        return self._values(None, 2**self._players)

    def of(self, masks: Tensor) -> Tensor:
        """Return the values of masks `[M, d]`, float64 `[..., M]`, one after another."""
        return self._values(masks, len(masks))

    def _values(self, masks: Tensor | None, count: int) -> Tensor:
        def build(start: int, stop: int) -> Tensor:
            rows = torch.arange(start, stop)
            which = rows // self._draws
            shown = which[:, None] >> torch.arange(self._players) & 1 if masks is None else masks[which]
            return self._impute(shown.bool(), rows % self._draws)

        rows = count * self._draws
        found = self._scores(build, rows).double().cpu()
        return found.reshape(*found.shape[:-1], count, self._draws).mean(dim=-1)

    def _scores(self, build: Build, rows: int) -> Tensor:
        """Return the score of each row, `[rows]`, or of all classes, `[K, rows]`."""
        if self._score in ("probability", "logit"):
            return self._network.scores(build, self._target.expand(rows), self._score)
        step = self._network.chunk
        logits = [self._network.logits(build(start, min(start + step, rows))) for start in range(0, rows, step)]
        vectors = torch.cat(logits)
        return (vectors if self._score == "logits" else vectors.softmax(dim=1)).T
