"""How far the value of any subset of players can move when the input or the model does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from sam_toolkit.errors import ComponentError
from sam_toolkit.removal.assumptions import Assumption
from sam_toolkit.removal.lipschitz import Lipschitz
from sam_toolkit.removal.total_variation import Law


class Change(StrEnum):
    """What a limit on the change of values is about."""

    SHOWN = "input shown"
    """|change of v_S| <= g |delta_S|: only the change of the players that S shows counts."""
    WHOLE = "whole input"
    """|change of v_S| <= g |delta|: what stands in for the others changes too."""
    MODEL = "model"
    SCORE = "range of scores"


@dataclass(frozen=True)
class Limit:
    """A bound on the change of every subset's value.

    Attributes:
        value: by the paper's lemma.
        sharper: one that is not the paper's, and no larger; equal where none is known.
        change: what changed.
        assumptions: of both.
        certified: False where it rests on an estimate.
    """

    value: float
    sharper: float
    change: Change
    assumptions: tuple[Assumption, ...]
    certified: bool = True


def fixed_removal(lipschitz: Lipschitz, distance: float, imputation: float | None = None) -> Limit:
    """Return the limit `L |delta|` for inputs at a `distance` of `|delta|` under a baseline or marginal removal.

    A baseline that depends on the input, such as its blur, needs `imputation`, the largest Lipschitz constant of the
    maps from the input to an imputed one.
    """
    _check("distance", distance)
    if imputation is None:
        value, change, means = lipschitz.value * distance, Change.SHOWN, Assumption.FIXED
    else:
        _check("imputation", imputation)
        value, change, means = lipschitz.value * imputation * distance, Change.WHOLE, Assumption.IMPUTATION
    return Limit(value, value, change, (means, *lipschitz.assumptions), lipschitz.certified)


def conditional_removal(
    lipschitz: Lipschitz, distance: float, law: Law, *, supremum: float = 1.0, oscillation: float | None = None
) -> Limit:
    """Return the limit `(L + 2 B M) |delta|` for inputs at a `distance` of `|delta|` under conditional removal.

    The sharper one has the range of scores for 2 B, or the law's coupling c in `L c |delta|`, whichever is less.

    Args:
        lipschitz: L.
        distance: `|delta|`.
        law: M and c: `gaussian_law(covariance)`, or `Law(variation)` where they are known.
        supremum: B, the largest size of a score; 1 for probabilities.
        oscillation: largest less smallest score; 2 B by default, 1 for probabilities.
    """
    _check("distance", distance)
    low, high = _scores(supremum, oscillation)
    paper, ranged = (lipschitz.value + product(factor, law.variation) for factor in (high, low))
    sharper = min(ranged, product(lipschitz.value, law.coupling))
    assumptions = (Assumption.CONDITIONAL, law.assumption, *_range(oscillation), *lipschitz.assumptions)
    return Limit(product(distance, paper), product(distance, sharper), Change.SHOWN, assumptions, lipschitz.certified)


def model_change(
    distance: float, *, inside: float | None = None, supremum: float = 1.0, oscillation: float | None = None
) -> Limit:
    """Return the limit on the change of values between two models, `|f - f'| Q + 2 B (1 - Q)`.

    Args:
        distance: largest `|f - f'|`: at every input by default, else on the domain that `inside` speaks of.
        inside: Q, the smallest probability that an imputed input lies in that domain: 1 for conditional removal and
            the support of the data. None: the distance is that over all inputs, as baseline and marginal need.
        supremum: B, the largest size of a score of either model; 1 for probabilities.
        oscillation: largest less smallest score of both models; 2 B by default.
    """
    _check("distance", distance)
    if inside is None:
        return Limit(distance, distance, Change.MODEL, (Assumption.SAME_LAW, Assumption.EVERYWHERE))
    if not 0 <= inside <= 1:
        raise ComponentError(f"inside is a share, from 0 to 1; got {inside}.")
    low, high = _scores(supremum, oscillation)
    # Scores differ by their range at most; with more, a larger share inside than Q could allow a larger change.
    value, sharper = (product(inside, min(distance, most)) + most * (1 - inside) for most in (high, low))
    return Limit(value, sharper, Change.MODEL, (Assumption.SAME_LAW, Assumption.ON_DOMAIN, *_range(oscillation)))


def within_range(oscillation: float = 1.0) -> Limit:
    """Return the limit that always holds: values differ by the range of scores at most, that of probabilities 1."""
    _check("oscillation", oscillation)
    return Limit(oscillation, oscillation, Change.SCORE, (Assumption.OSCILLATION,))


def product(first: float, second: float) -> float:
    """Return the product, in which nothing times infinity is nothing: without a change there is none to bound."""
    return 0.0 if 0 in (first, second) else first * second


def _scores(supremum: float, oscillation: float | None) -> tuple[float, float]:
    """Return the range of scores and 2 B, which it does not exceed."""
    _check("supremum", supremum)
    twice = 2 * supremum
    if oscillation is None:
        return twice, twice
    _check("oscillation", oscillation)
    return min(oscillation, twice), twice


def _range(oscillation: float | None) -> tuple[Assumption, ...]:
    return (Assumption.SUPREMUM,) if oscillation is None else (Assumption.SUPREMUM, Assumption.OSCILLATION)


def _check(name: str, value: float) -> None:
    if not 0 <= value < math.inf:
        raise ComponentError(f"{name} is finite and not negative; got {value}.")
