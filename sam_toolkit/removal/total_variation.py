"""How fast the law of removed players moves with the players shown, where inputs are Gaussian."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sam_toolkit.errors import ComponentError
from sam_toolkit.removal.assumptions import Assumption
from sam_toolkit.removal.symmetric import presence

_SINGULAR = 1e-10
"""Share of the largest eigenvalue of the correlations at which the smallest one counts as zero."""


@dataclass(frozen=True)
class Law:
    """How fast the law of removed players moves with those shown.

    Attributes:
        variation: M in `d_TV(p(. | x_S), p(. | x'_S)) <= M |x_S - x'_S|`, for every S; 0 for independent players.
        coupling: c, where draws from both laws can be paired so that imputed inputs are at most `c |x_S - x'_S|` apart.
        assumption: what is assumed of the law.
    """

    variation: float
    coupling: float = math.inf
    assumption: Assumption = Assumption.VARIATION

    def __post_init__(self) -> None:
        """Refuse constants that are negative; infinite ones say that nothing is known."""
        if not (self.variation >= 0 and self.coupling >= 0):
            raise ComponentError(f"The constants of a law are not negative; got {self.variation} and {self.coupling}.")


def gaussian_law(covariance: Tensor) -> Law:
    """Return the constants of a Gaussian with `covariance` `[d, d]`; raises ComponentError for what is none.

    Given x_S the others have mean K x_S and a covariance that x_S does not move, so that one draw serves both laws,
    shifted, and the coupling is the largest `sqrt(1 + |K|^2)`. It is finite where the total variation is not, as for
    players that follow from others: there K is that of the pseudo-inverse. It also holds for the mean over any fixed
    set of shifted draws.
    """
    return Law(gaussian_variation(covariance), _coupling(covariance.double().cpu()), Assumption.GAUSSIAN)


def gaussian_variation(covariance: Tensor) -> float:
    """Return the tight constant M in `d_TV(p(. | x_S), p(. | x'_S)) <= M |x_S - x'_S|` over all subsets S.

    Players are the coordinates, at most 16, of a Gaussian with `covariance` `[d, d]`. Given x_S the others are normal
    with mean K x_S and covariance C, so that M is the largest `|C^(-1/2) K|` over S, divided by sqrt(2 pi). Infinite
    where a player follows from others, for then the laws have no common support. Raises ComponentError for what is no
    covariance.
    """
    squares = _information(covariance)
    if squares is None:
        return math.inf
    largest = max(float(torch.linalg.eigvalsh(square)[-1]) for square in squares)
    return math.sqrt(max(largest, 0.0) / math.tau)


def gaussian_total_variation(covariance: Tensor, delta: Tensor) -> Tensor:
    """Return `d_TV(p(. | x_S), p(. | x_S + delta_S))` of every subset S, float64 `[2^d]` by code, exactly.

    It is erf(m / sqrt(8)) with m = `|C^(-1/2) K delta_S|`. Raises ComponentError for what is no covariance, and where a
    player follows from others.
    """
    squares = _information(covariance)
    if squares is None:
        raise ComponentError("The covariance is singular: a player follows from others, and laws share no support.")
    moved = delta.double()
    lengths = torch.stack([(moved @ square @ moved).clamp(min=0).sqrt() for square in squares])
    return torch.erf(lengths / math.sqrt(8))


def _coupling(covariance: Tensor) -> float:
    largest = 0.0
    for shown in presence(len(covariance))[1:-1]:
        inverse = torch.linalg.pinv(covariance[shown][:, shown], rtol=_SINGULAR, hermitian=True)
        slope = covariance[~shown][:, shown] @ inverse
        largest = max(largest, float(torch.linalg.matrix_norm(slope, ord=2)))
    return math.hypot(1.0, largest)


def _information(covariance: Tensor) -> list[Tensor] | None:
    """Return K^T C^-1 K of every subset, `[d, d]` with zeros for players not in it; None where C is singular.

    With P the inverse covariance it is P_SS - (covariance_SS)^-1: what S says of all less what it says of itself.
    """
    covariance = covariance.double().cpu()
    players = len(covariance)
    if covariance.shape != (players, players) or not torch.allclose(covariance, covariance.T):
        raise ComponentError(f"A covariance is a symmetric matrix [d, d]; got {list(covariance.shape)}.")
    deviations = covariance.diagonal().sqrt()
    if not bool((deviations > 0).all()):
        raise ComponentError("A player has variance 0, or less: leave constant players out of the covariance.")
    eigenvalues = torch.linalg.eigvalsh(covariance / torch.outer(deviations, deviations))
    if eigenvalues[0] <= _SINGULAR * eigenvalues[-1]:
        return None
    precision = torch.linalg.inv(covariance)
    return [_of_subset(shown, covariance, precision) for shown in presence(players)]


def _of_subset(shown: Tensor, covariance: Tensor, precision: Tensor) -> Tensor:
    square = torch.zeros_like(covariance)
    if shown.any():
        place = torch.outer(shown, shown)
        size = int(shown.sum())
        inner = torch.linalg.inv(covariance[place].reshape(size, size))
        square[place] = (precision[place].reshape(size, size) - inner).flatten()
    return square
