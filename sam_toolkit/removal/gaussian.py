"""The conditional laws of a Gaussian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from sam_toolkit.errors import ComponentError

_SINGULAR = 1e-10
"""Share of the largest eigenvalue below which one counts as zero."""


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A normal distribution of rows `[F]`.

    Attributes:
        mean: float64 `[F]`.
        covariance: float64 `[F, F]`; it may be singular: then conditional means are those of the pseudo-inverse, which
            for a row off the support are those of the nearest one on it.
    """

    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, mean: Tensor, covariance: Tensor) -> Self:
        """Return the distribution; raises ComponentError unless the covariance is one."""
        mean, covariance = mean.double().cpu().flatten(), covariance.double().cpu()
        if covariance.shape != (len(mean), len(mean)) or not torch.allclose(covariance, covariance.T):
            raise ComponentError(
                f"a covariance is symmetric, [{len(mean)}, {len(mean)}] for this mean; got {list(covariance.shape)}."
            )
        lowest = float(torch.linalg.eigvalsh(covariance)[0])
        if lowest < -_SINGULAR * float(covariance.diagonal().max()):
            raise ComponentError(f"a covariance has no negative eigenvalue; the lowest here is {lowest:.3g}.")
        return cls(mean, covariance)

    @classmethod
    def fitted(cls, rows: Tensor) -> Self:
        """Return the distribution with the sample mean and covariance of rows `[B, F]`."""
        flat = rows.double().flatten(1)
        return cls.of(flat.mean(dim=0), torch.cov(flat.T).reshape(flat.shape[1], -1))

    def given(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Return K and a root R of C: given x at `kept`, bool `[F]`, the others have mean + K (x - mean) and C = R R^T.

        K is `[F - s, s]` and R `[F - s, F - s]`, symmetric.
        """
        removed = ~kept
        cross = self.covariance[removed][:, kept]
        values, vectors = _spectrum(self.covariance[kept][:, kept])
        inverse = torch.where(values > 0, 1 / values, 0.0)
        slope = cross @ (vectors * inverse) @ vectors.T
        left, directions = _spectrum(self.covariance[removed][:, removed] - slope @ cross.T, self.covariance)
        return slope, (directions * left.sqrt()) @ directions.T


def _spectrum(matrix: Tensor, scale: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return eigenvalues, with those that are zero but for rounding set to zero, and eigenvectors."""
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    largest = (matrix if scale is None else scale).diagonal().max() if matrix.numel() else 0.0
    return torch.where(values > _SINGULAR * largest, values, 0.0), vectors
