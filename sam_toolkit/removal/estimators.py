"""Estimators of summaries from some subsets: random masks or orders, the same ones for all that is compared.

An estimate is linear in the values of its masks: a fixed operator stands for it, with norms of its own, and the
difference of two games under one design has an estimate and an error too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import torch
from scipy.stats import t as student
from torch import Tensor

from sam_toolkit.errors import ComponentError
from sam_toolkit.removal import regression as least_squares
from sam_toolkit.removal.operators import RealisedOperator
from sam_toolkit.removal.symmetric import Summary, binomials
from sam_toolkit.rng import Rng

Draw = Callable[[int], torch.Generator]
"""Gives the generator of draw i, whatever was drawn before: fewer samples are the first of more."""


def seeded(seed: int) -> Draw:
    """Return the draws of a seed."""
    rng = Rng(seed).child("removal")
    return lambda index: rng.generator("", index)


@dataclass(frozen=True, eq=False)
class Estimate:
    """An attribution with its standard error.

    Attributes:
        values: float64 `[..., d]`.
        errors: standard errors, of the same shape: what other draws would change; NaN with one independent draw.
        draws: number of independent draws behind them.
    """

    values: Tensor
    errors: Tensor
    draws: int

    def interval(self, level: float = 0.95) -> tuple[Tensor, Tensor]:
        """Return the ends of the confidence interval of each player, by Student's t; approximate for regressions."""
        width = self.errors * float(student.ppf((1 + level) / 2, max(self.draws - 1, 1)))
        return self.values - width, self.values + width


@dataclass(frozen=True, eq=False)
class Design:
    """Masks with what makes an attribution of their values.

    Attributes:
        operator: the masks `[M, d]` and the realised operator, its matrix `[d, M]`.
        influence: makes of values `[M]` the contribution `[U, d]` of each of U independent draws; the standard error
            is that of their mean.
    """

    operator: RealisedOperator
    influence: Callable[[Tensor], Tensor]

    @property
    def masks(self) -> Tensor:
        """Return the masks, bool `[M, d]`, true where a player is present."""
        return self.operator.masks

    def estimate(self, values: Tensor) -> Estimate:
        """Return the estimate from the values `[..., M]` of the masks, or from differences of two games' values.

        Raises ComponentError where there is not one value a mask.
        """
        found = self.operator.apply(values)
        parts = torch.stack([self.influence(each) for each in values.double().reshape(-1, len(self.masks))])
        errors = parts.std(dim=1) / parts.shape[1] ** 0.5
        return Estimate(found, errors.reshape(found.shape), parts.shape[1])


def permutations(
    players: int, samples: int, draw: Draw, *, antithetic: bool = False, of: Summary | None = None
) -> Design:
    """Return a design of `samples` random orders: a player's contributions where it joins those before it.

    The estimate is that of the Shapley value (Castro et al., 2009) or, by the weight of each size, of another
    semivalue. It is unbiased. The masks are the empty one, the full one, and each order's beginnings.

    Args:
        players: d.
        samples: orders.
        draw: the generator of each order.
        antithetic: whether each order is followed by its reverse, as one draw with it (Mitchell et al., 2022).
        of: the summary that is estimated, a semivalue; default: the Shapley value.

    Raises:
        ComponentError: the summary is no weighted mean of contributions.
    """
    law = _joining(players, of)
    drawn = [torch.randperm(players, generator=draw(index)) for index in range(samples)]
    orders = torch.stack([each for one in drawn for each in ((one, one.flip(0)) if antithetic else (one,))])
    place = orders.argsort(dim=1)
    beginnings = place[:, None] <= torch.arange(players - 1)[:, None]
    masks = torch.cat([_ends(players), beginnings.reshape(-1, players)])
    # Column of the mask after each player of each order, and before it.
    inner = 2 + torch.arange(len(orders) * (players - 1)).reshape(len(orders), -1)
    columns = torch.cat([torch.zeros(len(orders), 1, dtype=torch.long), inner, torch.ones_like(place[:, :1])], dim=1)
    after, before, factor = columns.gather(1, place + 1), columns.gather(1, place), law[place]

    def influence(values: Tensor) -> Tensor:
        joined = factor * (values[after] - values[before])
        return joined.reshape(samples, -1, players).mean(dim=1)

    matrix = torch.zeros(players, len(masks), dtype=torch.float64)
    share = (factor / len(orders)).T
    matrix.scatter_add_(1, after.T, share).scatter_add_(1, before.T, -share)
    return Design(RealisedOperator(masks, matrix), influence)


def kernel_shap(players: int, samples: int, draw: Draw) -> Design:
    """Return a design of `samples` masks and their complements for the Shapley value as a least squares fit.

    Sizes are drawn by the Shapley kernel, so that masks weigh the same; the fit is exact at the empty and the full
    mask, the first and the last. It is consistent, with a bias of order 1 / samples (Covert and Lee, AISTATS 2021).
    Raises ComponentError for fewer than 2 players, or too few samples to tell them apart.
    """
    if players < 2:
        raise ComponentError(f"KernelSHAP needs 2 players or more; got {players}.")
    inner = torch.arange(1, players, dtype=torch.float64)
    law = 1 / (inner * (players - inner))
    drawn = [_of_size(players, law, draw(index)) for index in range(samples)]
    chosen = torch.stack([each for one in drawn for each in (one, ~one)])
    first, last = _ends(players).split(1)
    operator = least_squares.regression(torch.cat([first, chosen, last]), exact_ends=True)
    slack = sqrt(samples / max(samples - players + 1, 1))

    def influence(values: Tensor) -> Tensor:
        residual = values[1:-1] - values[0] - chosen.double() @ operator.apply(values)
        pulled = (operator.matrix[:, 1:-1] * residual).T.reshape(samples, 2, players)
        return samples * slack * pulled.sum(dim=1)

    return Design(operator, influence)


def inclusion(players: int, samples: int, draw: Draw, *, keep: float = 0.5) -> Design:
    """Return a design of `samples` masks that keep each player with probability `keep`: its mean value when included.

    This is RISE over players, divided by how often each was included. A player never included has 0.
    """
    masks = _independent(players, samples, draw, keep)
    return _means(masks, masks.double())


def difference(players: int, samples: int, draw: Draw, *, keep: float = 0.5) -> Design:
    """Return a design of `samples` masks for the Banzhaf value: the mean value when included minus when not.

    Every mask serves every player (Wang and Jia, Data Banzhaf, AISTATS 2023); with another `keep` it is the weighted
    Banzhaf value. A player never included, or never left out, counts that mean as 0.
    """
    masks = _independent(players, samples, draw, keep)
    one, other = _means(masks, masks.double()), _means(masks, (~masks).double())
    matrix = one.operator.matrix - other.operator.matrix
    return Design(RealisedOperator(masks, matrix), lambda values: one.influence(values) - other.influence(values))


def regression(
    players: int, samples: int, draw: Draw, *, kernel: least_squares.Kernel | Tensor = "uniform", ridge: float = 0.0
) -> Design:
    """Return a design of `samples` uniform masks for the coefficients of a weighted ridge regression with intercept.

    With equal weights and no ridge that is the Banzhaf value, and with others LIME.

    Args:
        players: d.
        samples: masks.
        draw: the generator of each mask.
        kernel: of the weights, or the weight of each size `[d + 1]`.
        ridge: penalty on the squared coefficients, against the sum over all 2^d masks.

    Raises:
        ComponentError: too few samples for a fit without a ridge.
    """
    masks = _independent(players, samples, draw, 0.5)
    weights = least_squares.kernel_weights(kernel, players)[masks.sum(dim=1)]
    operator = least_squares.regression(masks, weights, ridge=ridge * samples / 2.0**players)
    shown, law = masks.double(), weights / weights.sum()
    slack = sqrt(samples / max(samples - players - 1, 1))

    def influence(values: Tensor) -> Tensor:
        rest = values - shown @ operator.apply(values)
        return samples * slack * (operator.matrix * (rest - law @ rest)).T

    return Design(operator, influence)


def without_chance(of: Summary) -> Design:
    """Return a design of the few masks that a summary such as leave-one-out reads at all; its errors are 0.

    Raises ComponentError where it reads more than two sizes of masks, or more than one mask a player and one.
    """
    sizes = [size for size in range(of.players + 1) if of.present[size] or of.absent[size]]
    if any(1 < size < of.players - 1 for size in sizes):
        raise ComponentError(f"{of} reads masks of sizes {sizes[0]} to {sizes[-1]}: enumerate them, or estimate it.")
    single = torch.eye(of.players, dtype=torch.bool)
    blocks = {0: _ends(of.players)[:1], 1: single, of.players - 1: ~single, of.players: _ends(of.players)[1:]}
    masks = torch.cat([blocks[size] for size in sizes])
    count = masks.sum(dim=1)
    matrix = torch.where(masks, of.present[count][:, None], of.absent[count][:, None]).T
    return Design(RealisedOperator(masks, matrix), lambda values: torch.zeros(2, of.players, dtype=torch.float64))


def _joining(players: int, of: Summary | None) -> Tensor:
    """Return how much more a contribution to each number of players counts than for the Shapley value, `[d]`."""
    if of is None:
        return torch.ones(players, dtype=torch.float64)
    if not of.bounded or of.players != players:
        raise ComponentError(
            f"{of} is no weighted mean of {players} players' contributions: orders do not estimate it."
        )
    return players * binomials(players - 1) * of.present[1:]


def _ends(players: int) -> Tensor:
    """Return the empty and the full mask."""
    return torch.tensor([[False], [True]]).expand(2, players)


def _of_size(players: int, law: Tensor, generator: torch.Generator) -> Tensor:
    """Return a mask `[d]` whose number of players has a law over 1 to d - 1."""
    size = 1 + int(torch.multinomial(law, 1, generator=generator))
    mask = torch.zeros(players, dtype=torch.bool)
    mask[torch.randperm(players, generator=generator)[:size]] = True
    return mask


def _independent(players: int, samples: int, draw: Draw, keep: float) -> Tensor:
    return torch.stack([torch.rand(players, generator=draw(index)) < keep for index in range(samples)])


def _means(masks: Tensor, counted: Tensor) -> Design:
    """Return the mean over the masks that are `counted` (1 or 0, `[M, d]`) for each player."""
    matrix = (counted / counted.sum(dim=0).clamp(min=1)).T

    def influence(values: Tensor) -> Tensor:
        return len(masks) * (matrix * (values - (matrix @ values)[:, None])).T

    return Design(RealisedOperator(masks, matrix), influence)
