"""Linear summaries of subset values: an operator's matrix, its norms, and the constants that bound a change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from sam_toolkit.errors import ComponentError


@dataclass(frozen=True)
class Norms:
    """Norms of an operator A, `[d, M]`.

    Attributes:
        spectral: largest singular value.
        bound: root of the sum of squared row l1 norms, the constant h of the theorems: at least the norm of A from
            the largest size of a value to Euclidean length.
        frobenius: root of the sum of squares.
        row: largest l1 norm of a row.
        column: largest l1 norm of a column.
        length: largest Euclidean norm of a column.
    """

    spectral: float
    bound: float
    frobenius: float
    row: float
    column: float
    length: float

    @classmethod
    def of(cls, matrix: Tensor) -> Self:
        """Return the norms of a matrix `[d, M]`."""
        rows, columns = matrix.abs().sum(dim=1), matrix.abs().sum(dim=0)
        return cls(
            _spectral(matrix),
            float(rows.norm()),
            float(matrix.norm()),
            float(rows.max()),
            float(columns.max()),
            float(matrix.norm(dim=0).max()),
        )


@dataclass(frozen=True)
class Sharper:
    """Constants below the theorems' h; derived for this package, not in the paper.

    Attributes:
        model: c in `|change of phi| <= c max_S |change of v_S|`, phi the attribution.
        input: c in `|change of phi| <= c g |delta|`, wherever `|change of v_S| <= g |delta_S|` for every S: the change
            of a value is bounded by the change of the players it shows.
    """

    model: float
    input: float

    @classmethod
    def of(cls, masks: Tensor, matrix: Tensor) -> Self:
        """Return the smallest constants that are known for a matrix `[d, M]` on masks `[M, d]`.

        For any law D over the columns, `|A u|^2 <= |A D^(-1/2)|_2^2 E_D[u^2]` (Cauchy-Schwarz), and
        `E_D[|delta_S|^2] <= max_j P_D(j in S) |delta|^2`. Row by row, `|A_i u| <= sum_S |A_iS| |delta_S|`, with Jensen
        over the whole row, or over the columns of each size and then added up.
        """
        shown, nothing = masks.double(), ~masks.any(dim=1)
        seen = torch.where(nothing, 0.0, matrix.abs())  # the empty subset shows no change
        model, given = [float(matrix.abs().sum(dim=1).norm())], [_jensen(shown, seen)]
        sizes = masks.sum(dim=1)
        given.append(sum(_jensen(shown[sizes == size], seen[:, sizes == size]) for size in sizes.unique().tolist()))
        for law in _laws(matrix):
            spectral = _spectral(torch.where(law > 0, matrix / law.sqrt(), 0.0))
            model.append(spectral)
            given.append(spectral * float((law @ shown).max().sqrt()))
        return cls(min(model), min(given + model))


def _jensen(shown: Tensor, weights: Tensor) -> float:
    """Return the root of max_j sum_i r_i sum_(S with j) |A_iS|, r_i the l1 norm of row i."""
    return float((weights.sum(dim=1) @ weights @ shown).max().sqrt())


def _laws(matrix: Tensor) -> Iterator[Tensor]:
    """Yield laws over columns that are 0 only where the column is: the uniform one, and one by length."""
    for size in ((matrix != 0).any(dim=0).double(), matrix.norm(dim=0)):
        yield size / size.sum()


def _spectral(matrix: Tensor) -> float:
    # Of the two, the square matrix is the small one; its largest eigenvalue keeps all digits that matter here.
    return float(torch.linalg.eigvalsh(matrix @ matrix.T)[-1].clamp(min=0).sqrt())


class Operator(ABC):
    """A fixed linear map from subset values to one attribution a player."""

    players: int

    @property
    @abstractmethod
    def columns(self) -> int:
        """Return the number M of subset values it takes."""

    @property
    @abstractmethod
    def matrix(self) -> Tensor:
        """Return A, float64 `[d, M]`."""

    @property
    @abstractmethod
    def norms(self) -> Norms:
        """Return the norms of A."""

    @property
    @abstractmethod
    def sharper(self) -> Sharper:
        """Return constants below `bound_constant`."""

    @property
    def spectral_norm(self) -> float:
        """Return the largest singular value of A."""
        return self.norms.spectral

    @property
    def bound_constant(self) -> float:
        """Return h, the root of the sum of squared row l1 norms of A."""
        return self.norms.bound

    def apply(self, values: Tensor) -> Tensor:
        """Return the attribution, float64 `[..., d]`, of subset values `[..., M]`."""
        return self._apply(self._checked(values))

    def pair_bound(self, change: Tensor) -> Tensor:
        """Return the largest |A u|, `[...]`, of any u with |u_S| <= |change_S|, from changes `[..., M]`."""
        limits: Tensor = self._apply_absolute(self._checked(change).abs()).norm(dim=-1)
        return limits

    @abstractmethod
    def _apply(self, values: Tensor) -> Tensor: ...

    @abstractmethod
    def _apply_absolute(self, values: Tensor) -> Tensor: ...

    def _checked(self, values: Tensor) -> Tensor:
        if values.shape[-1:] != (self.columns,):
            raise ComponentError(
                f"{self} takes one value a subset, [..., {self.columns}]; got {list(values.shape)}. "
                "The values of a game are in its order of subsets."
            )
        return values.double()


@dataclass(frozen=True, eq=False, repr=False)
class RealisedOperator(Operator):
    """What an estimator with given masks really computes: its own matrix, with its own norms.

    Compare two inputs or models under one such operator, and the bounds hold for the estimates themselves.

    Attributes:
        masks: bool `[M, d]`, true where a player is present.
        weights: the matrix, `[d, M]`.
    """

    masks: Tensor
    weights: Tensor

    def __post_init__(self) -> None:
        """Hold masks and matrix; raises ComponentError where they do not fit."""
        fits = self.masks.dim() == 2 and self.weights.shape == self.masks.T.shape and self.masks.numel() > 0
        if not fits or self.masks.dtype != torch.bool:
            raise ComponentError(
                "A realised operator has bool masks [M, d] and a matrix [d, M]; "
                f"got {self.masks.dtype} {list(self.masks.shape)} and {list(self.weights.shape)}."
            )

    @property
    def players(self) -> int:  # type: ignore[override] # nobody sets it
        """Return d."""
        return self.masks.shape[1]

    @property
    def columns(self) -> int:
        """Return the number of masks."""
        return len(self.masks)

    @property
    def matrix(self) -> Tensor:
        """Return the matrix, float64 `[d, M]`."""
        return self.weights.double()

    @cached_property
    def norms(self) -> Norms:
        """Return the norms of the matrix."""
        return Norms.of(self.matrix)

    @cached_property
    def sharper(self) -> Sharper:
        """Return the smallest constants known for these masks."""
        return Sharper.of(self.masks, self.matrix)

    def __repr__(self) -> str:
        return f"RealisedOperator({self.columns} masks, {self.players} players)"

    def _apply(self, values: Tensor) -> Tensor:
        return values @ self.matrix.T

    def _apply_absolute(self, values: Tensor) -> Tensor:
        return values @ self.matrix.abs().T
