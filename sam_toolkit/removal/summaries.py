"""Summary operators by name: what makes attributions of the values of all subsets of players."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from sam_toolkit.errors import ComponentError, near
from sam_toolkit.removal.operators import Operator, Sharper
from sam_toolkit.removal.regression import MOST_PLAYERS, Kernel, kernel_weights, least_squares, regression
from sam_toolkit.removal.symmetric import Summary, binomials, presence


def summary(name: str, players: int, **parameters: Any) -> Operator:
    """Return the summary operator `name` over all subsets of `players` players.

    The result has `.matrix` `[d, 2^d]`, with bit i of the column set where player i is present, `.norms`,
    `.spectral_norm`, `.bound_constant`, `.sharper`, and `.apply(values)`, which makes `[..., d]` of `[..., 2^d]`.

    Args:
        name: `leave-one-out`, `include-one`, `shapley`, `banzhaf` (p=0.5; other p: weighted Banzhaf), `beta-shapley`
            (alpha, beta; both 1: Shapley), `rise` (p=0.5: the mean value when included, players kept with
            probability p) or `lime` (kernel="cosine", width=None, ridge=0, intercept=True).
        players: d, from 1 to 1000; matrices and values need at most 16.
        **parameters: of the summary.

    Raises:
        ComponentError: an unknown name or parameter, or a value out of range.
    """
    builder = _BUILDERS.get(name)
    if builder is None:
        raise ComponentError(f"No summary {name!r} (there are: {', '.join(_BUILDERS)}).{near(name, _BUILDERS)}")
    known = [key for key in inspect.signature(builder).parameters if key != "players"]
    for key in parameters:
        if key not in known:
            has = ", ".join(known) or "none"
            raise ComponentError(f"Summary {name!r} has no parameter {key!r} (it has: {has}).{near(key, known)}")
    if not 1 <= players <= MOST_PLAYERS:
        raise ComponentError(f"A summary has 1 to {MOST_PLAYERS} players; got {players}.")
    return builder(players, **parameters)


def _leave_one_out(players: int) -> Summary:
    present, absent = torch.zeros(2, players + 1, dtype=torch.float64)
    present[players], absent[players - 1] = 1, -1
    return Summary(players, present, absent, title="leave-one-out")


def _include_one(players: int) -> Summary:
    present, absent = torch.zeros(2, players + 1, dtype=torch.float64)
    present[1], absent[0] = 1, -1
    return Summary(players, present, absent, title="include-one")


def _shapley(players: int) -> Summary:
    return _semivalue(1 / (players * binomials(players - 1)), sharp=Sharper(math.pi, 2.0), title="shapley")


def _banzhaf(players: int, p: float = 0.5) -> Summary:
    _require(0 < p < 1, "banzhaf", "p lies between 0 and 1, both excluded", p)
    return _semivalue(_powers(p, players - 1), law=_powers(p, players), title=f"banzhaf(p={p:g})")


def _beta_shapley(players: int, alpha: float = 1.0, beta: float = 1.0) -> Summary:
    _require(alpha > 0, "beta-shapley", "alpha is positive", alpha)
    _require(beta > 0, "beta-shapley", "beta is positive", beta)
    whole = _log_beta(alpha, beta)
    weights = [math.exp(_log_beta(size + beta, players - 1 - size + alpha) - whole) for size in range(players)]
    # The mean of weighted Banzhaf values over p ~ Beta(beta, alpha), and of their constants.
    low = min(alpha, beta) > 0.5  # noqa: PLR2004 - where the integral is finite
    model = math.exp(_log_beta(beta - 0.5, alpha - 0.5) - whole) if low else math.inf
    given = math.exp(_log_beta(beta, alpha - 0.5) - whole) if alpha > 0.5 else math.inf  # noqa: PLR2004
    title = f"beta-shapley(alpha={alpha:g}, beta={beta:g})"
    return _semivalue(torch.tensor(weights, dtype=torch.float64), sharp=Sharper(model, given), title=title)


def _rise(players: int, p: float = 0.5) -> Summary:
    _require(0 < p < 1, "rise", "p lies between 0 and 1, both excluded", p)
    nothing = torch.zeros(1, dtype=torch.float64)
    present = torch.cat([nothing, _powers(p, players - 1)])
    return Summary(players, present, torch.zeros_like(present), _powers(p, players), title=f"rise(p={p:g})")


def _lime(
    players: int,
    kernel: Kernel | Tensor = "cosine",
    width: float | None = None,
    ridge: float = 0.0,
    intercept: bool = True,
) -> Operator:
    if isinstance(kernel, Tensor) and kernel.shape != (players + 1,):
        return regression(presence(players), kernel, ridge=ridge, intercept=intercept)
    weights = kernel_weights(kernel, players, width)
    fit = least_squares(weights, ridge, intercept)
    named = kernel if isinstance(kernel, str) else "given"
    wide = "" if width is None else f", width={width:g}"
    title = f"lime(kernel={named}{wide}, ridge={ridge:g}, intercept={intercept})"
    return Summary(players, *fit, title=title)


_BUILDERS: Mapping[str, Callable[..., Operator]] = {
    "leave-one-out": _leave_one_out,
    "include-one": _include_one,
    "shapley": _shapley,
    "banzhaf": _banzhaf,
    "beta-shapley": _beta_shapley,
    "rise": _rise,
    "lime": _lime,
}


def _semivalue(weights: Tensor, **facts: Any) -> Summary:
    """Return the summary in which joining a subset of size s counts `weights[s]`, `[d]`."""
    nothing = torch.zeros(1, dtype=torch.float64)
    return Summary(len(weights), torch.cat([nothing, weights]), torch.cat([-weights, nothing]), **facts)


def _powers(p: float, number: int) -> Tensor:
    """Return p^s (1 - p)^(number - s) for s = 0 to `number`: the law of one subset when each is kept with p."""
    size = torch.arange(number + 1, dtype=torch.float64)
    return p**size * (1 - p) ** (number - size)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _require(holds: bool, name: str, rule: str, value: float) -> None:
    if not holds:
        raise ComponentError(f"{name}: {rule}; got {value}.")
