"""Operators over all subsets that treat all players alike, with their norms in closed form."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sam_toolkit.errors import ComponentError
from sam_toolkit.removal.operators import Norms, Operator, RealisedOperator, Sharper

MOST_ENUMERATED = 16
"""Players up to which matrices over all subsets are built."""
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class Summary(Operator):
    """A summary that treats all players alike; every norm has a closed form for any number of players.

    Attributes:
        players: d.
        present: weight of v_S for a player in S, by the size of S, float64 `[d + 1]`; 0 for size 0.
        absent: likewise for a player not in S; 0 for size d.
        law: probability of each single subset, by size, that suits the operator's scale; None: none is known.
        sharp: constants proven for this summary in particular; None: there are none.
        title: the call that makes it.
    """

    players: int
    present: Tensor
    absent: Tensor
    law: Tensor | None = None
    sharp: Sharper | None = None
    title: str = "summary"

    @property
    def columns(self) -> int:
        """Return 2^d."""
        return 1 << self.players

    @cached_property
    def matrix(self) -> Tensor:
        """Return A, float64 `[d, 2^d]`, bit i of the column's index set where player i is present.

        Raises ComponentError for more than 16 players.
        """
        shown = presence(self.players)
        sizes = shown.sum(dim=1)
        return torch.where(shown, self.present[sizes][:, None], self.absent[sizes][:, None]).T.contiguous()

    @cached_property
    def norms(self) -> Norms:
        """Return the norms of A in closed form."""
        root, row = self.players**0.5, float(self._rows.sum())
        return Norms(
            self._spectral(self.present, self.absent),
            root * row,
            root * float(torch.hypot(self._inner.sqrt() * self.present, self._outer.sqrt() * self.absent).norm()),
            row,
            float(self._columns.max()),
            float(self._lengths.max()),
        )

    @cached_property
    def infinity_to_one_norm(self) -> float:
        """Return the largest l1 norm of A v where every |v_S| <= 1."""
        # The signs that reach it are told by how many of them are positive, and a subset by how many it has of each.
        return max(self._with_signs(positive) for positive in range(self.players + 1))

    @cached_property
    def sharper(self) -> Sharper:
        """Return the smallest constants known: this summary's own, and those of any operator (see `Sharper.of`)."""
        rows = self._rows * (self._sizes > 0)
        reach = self._inner * self._columns
        own = Sharper(math.inf, math.inf) if self.sharp is None else self.sharp
        model = [own.model, self.bound_constant]
        given = [own.input, float((rows.sum() * reach.sum()).sqrt()), float((rows * reach).sqrt().sum())]
        for law in self._laws():
            spectral = self._spectral(*(_over(weights, law.sqrt()) for weights in (self.present, self.absent)))
            model.append(spectral)
            given.append(spectral * float((self._inner * law).sum().sqrt()))
        return Sharper(min(model), min(given + model))

    @property
    def bounded(self) -> bool:
        """Return whether an attribution lies between a player's smallest and largest contribution to a subset."""
        joining, leaving = self.present[1:], -self.absent[:-1]
        alike = torch.allclose(joining, leaving, rtol=1e-9, atol=0) and bool((joining >= 0).all())
        return alike and abs(float((self._inner * self.present).sum()) - 1) < _ROUNDING

    @property
    def efficient(self) -> bool:
        """Return whether attributions add up to what all players together make of nothing."""
        sums = self._choices * (self._sizes * self.present + (self.players - self._sizes) * self.absent)
        wanted = torch.zeros_like(sums)
        wanted[0], wanted[-1] = -1, 1
        return torch.allclose(sums, wanted, rtol=0, atol=_ROUNDING)

    def realised(self) -> RealisedOperator:
        """Return the same operator as masks and a matrix; raises ComponentError for more than 16 players."""
        return RealisedOperator(presence(self.players), self.matrix)

    def __repr__(self) -> str:
        return self.title

    def _apply(self, values: Tensor) -> Tensor:
        return self._combine(values, self.present, self.absent)

    def _apply_absolute(self, values: Tensor) -> Tensor:
        return self._combine(values, self.present.abs(), self.absent.abs())

    def _combine(self, values: Tensor, present: Tensor, absent: Tensor) -> Tensor:
        sizes = presence(self.players).sum(dim=1)
        rest = (values * absent[sizes]).sum(dim=-1, keepdim=True)
        return rest + _included(values * (present - absent)[sizes], self.players)

    @cached_property
    def _sizes(self) -> Tensor:
        return torch.arange(self.players + 1, dtype=torch.float64)

    @cached_property
    def _choices(self) -> Tensor:
        return binomials(self.players)

    @cached_property
    def _inner(self) -> Tensor:
        """Return the number of subsets of each size that have a given player."""
        return torch.cat([torch.zeros(1, dtype=torch.float64), binomials(self.players - 1)])

    @cached_property
    def _outer(self) -> Tensor:
        return self._inner.flip(0)

    @cached_property
    def _rows(self) -> Tensor:
        """Return the l1 norm of a row, by the size of the subsets."""
        return self._inner * self.present.abs() + self._outer * self.absent.abs()

    @cached_property
    def _columns(self) -> Tensor:
        """Return the l1 norm of a column, by the size of its subset."""
        return self._sizes * self.present.abs() + (self.players - self._sizes) * self.absent.abs()

    @cached_property
    def _lengths(self) -> Tensor:
        """Return the Euclidean norm of a column, by the size of its subset."""
        return torch.hypot(self._sizes.sqrt() * self.present, (self.players - self._sizes).sqrt() * self.absent)

    def _spectral(self, present: Tensor, absent: Tensor) -> float:
        """Return the spectral norm: A A^T has one eigenvalue for equal numbers, and another one for all else."""
        sums = self._choices.sqrt() * (self._sizes * present + (self.players - self._sizes) * absent)
        alike = float((sums**2).sum()) / self.players
        trace = float(((self._inner.sqrt() * present) ** 2 + (self._outer.sqrt() * absent) ** 2).sum()) * self.players
        other = (trace - alike) / (self.players - 1) if self.players > 1 else 0.0
        return math.sqrt(max(alike, other))

    def _laws(self) -> Iterator[Tensor]:
        if self.law is not None:
            yield self.law
        for weights in ((self._lengths > 0).double(), self._lengths):
            yield weights / (self._choices * weights).sum()

    def _with_signs(self, positive: int) -> float:
        first, second = torch.meshgrid(
            torch.arange(positive + 1), torch.arange(self.players - positive + 1), indexing="ij"
        )
        present, absent = self.present[first + second], self.absent[first + second]
        total = (first - second) * present + (2 * positive - self.players - first + second) * absent
        count = binomials(positive)[:, None] * binomials(self.players - positive)
        return float((count * total.abs()).sum())


def presence(players: int) -> Tensor:
    """Return every subset as a mask, bool `[2^d, d]`, by code; raises ComponentError for more than 16 players."""
    if players > MOST_ENUMERATED:
        raise ComponentError(
            f"All subsets of {players} players are {2**players:,}; at most {MOST_ENUMERATED} players are enumerated. "
            "Norms need no enumeration; for values, draw masks and take a RealisedOperator."
        )
    return (torch.arange(2**players)[:, None] >> torch.arange(players) & 1).bool()


def binomials(number: int) -> Tensor:
    """Return the number of subsets of each size, float64 `[number + 1]`."""
    return torch.tensor([float(math.comb(number, size)) for size in range(number + 1)], dtype=torch.float64)


def _included(values: Tensor, players: int) -> Tensor:
    """Return the sum over the subsets with each player, `[..., d]`, of values `[..., 2^d]`, in 2^(d + 1) additions."""
    sums: list[Any] = []
    for _ in range(players):
        without, having = values.chunk(2, dim=-1)  # the last bit left
        sums.append(having.sum(dim=-1))
        values = without + having
    return torch.stack(sums[::-1], dim=-1)


def _over(weights: Tensor, scale: Tensor) -> Tensor:
    return torch.where(weights == 0, 0.0, weights / scale)
