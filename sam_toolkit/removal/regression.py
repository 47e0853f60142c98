"""Weighted least squares as an operator: LIME and its relatives, over all subsets or over given masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from sam_toolkit.errors import ComponentError
from sam_toolkit.removal.operators import RealisedOperator
from sam_toolkit.removal.symmetric import binomials

MOST_PLAYERS = 1000
"""Players up to which the number of subsets is a float64."""

Kernel = Literal["cosine", "euclidean", "uniform"] | Callable[[Tensor], Tensor]
"""Weight of a subset: by name, or a function of the share of players that it shows, `[n]` to `[n]`."""

_WIDTHS = {"cosine": 0.25, "euclidean": 0.75, "uniform": 1.0}
_SINGULAR = 1e-12
"""Share of the largest eigenvalue of the covariance below which one is zero."""

Fit = tuple[Tensor, Tensor, Tensor]


def kernel_weights(kernel: Kernel | Tensor, players: int, width: float | None = None) -> Tensor:
    """Return the weight of one subset of each size, float64 `[d + 1]`.

    `cosine` is lime's kernel for images, exp(-(1 - sqrt(s / d))^2 / (2 width^2)), with width 0.25 by default;
    `euclidean` its kernel for tables, exp(-(d - s) / (2 width^2)), with width 0.75 sqrt(d). A tensor `[d + 1]` is taken
    as it is.
    Raises ComponentError for an unknown kernel, and for weights that are negative, not finite, or all zero.
    """
    share = torch.arange(players + 1, dtype=torch.float64) / players
    if isinstance(kernel, Tensor):
        weights = kernel.double()
    elif callable(kernel):
        weights = kernel(share).double()
    elif kernel in _WIDTHS:
        wide = _WIDTHS[kernel] * (players**0.5 if kernel == "euclidean" else 1) if width is None else width
        distance = {"cosine": (1 - share.sqrt()) ** 2, "euclidean": players * (1 - share), "uniform": 0 * share}[kernel]
        weights = torch.exp(-distance / (2 * wide**2))
    else:
        raise ComponentError(f"lime: kernel is one of {', '.join(_WIDTHS)}, a function or weights; got {kernel!r}.")
    _check(weights, (players + 1,), "one a size")
    return weights


def least_squares(weights: Tensor, ridge: float = 0.0, intercept: bool = True) -> Fit:
    """Return what `Summary` takes: the weights of v_S for players in S and not in S, and the kernel as a law.

    All `[d + 1]`, by size. The coefficients minimise the sum over all subsets S of w_S (v_S - c - sum_(i in S) b_i)^2,
    plus `ridge` times the sum of b_i^2; the intercept c is free, or 0. Raises ComponentError where the fit is not
    unique.
    """
    players = len(weights) - 1
    size, choices = torch.arange(players + 1, dtype=torch.float64), binomials(players)
    total = (choices * weights).sum()
    law, mass = weights / total, choices * weights / total
    mean = (mass * size).sum() / players if intercept else torch.zeros((), dtype=torch.float64)
    penalty = _penalty(ridge) / total
    # The covariance of masks has one eigenvalue for changes of the size, and another one for changes at one size.
    alike = (mass * (size - players * mean) ** 2).sum() / players + penalty
    other = (mass * size * (players - size)).sum() / (players * max(players - 1, 1)) + penalty
    if alike <= _SINGULAR or (players > 1 and other <= _SINGULAR):
        raise ComponentError(
            f"lime: the kernel leaves too few subsets to tell {players} players apart (eigenvalues "
            f"{float(alike):.3g} and {float(other):.3g} of the masks' covariance); widen it, or take a ridge above 0."
        )
    share = size / players
    common = (share - mean) / alike
    present, absent = law * (common + (1 - share) / other), law * (common - share / other)
    if players == 1:
        present, absent = law * common, law * common
    present[0] = absent[-1] = 0
    return present, absent, law


def regression(
    masks: Tensor,
    weights: Tensor | None = None,
    *,
    ridge: float = 0.0,
    intercept: bool = True,
    exact_ends: bool = False,
) -> RealisedOperator:
    """Return the operator of a weighted ridge regression on given masks, `[d, M]`.

    With `exact_ends` the fit meets the values of the empty and the full mask exactly, which must be the first and the
    last of `masks`; with the Shapley kernel on the masks between that is KernelSHAP (Lundberg and Lee, NeurIPS 2017).

    Args:
        masks: bool `[M, d]`, true where a player is present.
        weights: `[M]`, not negative; equal ones by default.
        ridge: penalty on the squared coefficients; the intercept bears none.
        intercept: whether the fit has one.
        exact_ends: see above; it takes the place of intercept and ridge.

    Raises:
        ComponentError: the arguments do not fit each other, or the fit is not unique.
    """
    shown = masks.double()
    known = shown.new_ones(len(masks)) if weights is None else weights.double()
    _check(known, (len(masks),), "one a mask")
    if exact_ends:
        return RealisedOperator(masks, _constrained(masks, known))
    law = known / known.sum()
    centred = shown - law @ shown if intercept else shown
    gram = centred.T @ (law[:, None] * centred) + _penalty(ridge) / known.sum() * torch.eye(shown.shape[1]).double()
    return RealisedOperator(masks, _solve(gram, centred.T * law))


def _constrained(masks: Tensor, weights: Tensor) -> Tensor:
    if masks[0].any() or not masks[-1].all():
        raise ComponentError("regression: with exact_ends the first mask is empty and the last one full.")
    players, inner = masks.shape[1], masks[1:-1].double()
    share = inner.mean(dim=1)
    centred = inner - share[:, None]
    # What is left of a value beside a line between the ends is fitted at right angles to all ones, where the rows of
    # `centred` are: filling that direction of their products leaves the fit as it is.
    weighted = centred.T * weights[1:-1]
    gram = weighted @ centred
    fit = _solve(gram + gram.diagonal().mean(), weighted) if players > 1 else weighted
    first = -(fit @ (1 - share)) - 1 / players
    last = -(fit @ share) + 1 / players
    return torch.cat([first[:, None], fit, last[:, None]], dim=1)


def _solve(gram: Tensor, right: Tensor) -> Tensor:
    values = torch.linalg.eigvalsh(gram)
    if values[0] <= _SINGULAR * values[-1]:
        raise ComponentError(
            f"regression: the masks do not tell {len(gram)} players apart (smallest eigenvalue {float(values[0]):.3g} "
            f"of {float(values[-1]):.3g}); take more masks, or a ridge above 0."
        )
    solution: Tensor = torch.linalg.solve(gram, right)
    return solution


def _penalty(ridge: float) -> float:
    if not 0 <= ridge < float("inf"):
        raise ComponentError(f"lime: ridge is not negative; got {ridge}.")
    return ridge


def _check(weights: Tensor, shape: tuple[int, ...], what: str) -> None:
    if weights.shape != shape or not bool((weights >= 0).all() and weights.isfinite().all() and weights.any()):
        raise ComponentError(
            f"A regression's weights are finite and not negative, not all 0, {what}: {list(shape)}; "
            f"got {list(weights.shape)} between {float(weights.min()):.3g} and {float(weights.max()):.3g}."
        )
