"""Estimators of summaries from some subsets: random masks or orders, the same ones for all that is compared.

An estimate is linear in the values of its masks, so that a fixed matrix stands for it, and the difference of two
games under one design has an estimate and an error of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from scipy.stats import t as student
from torch import Tensor

from sam_toolkit.errors import ComponentError
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
    """Masks with the matrix that makes an attribution of their values.

    Attributes:
        masks: bool `[M, d]`, true where a player is present.
        matrix: float64 `[d, M]`, the realised operator.
        influence: makes of values `[M]` the contribution `[U, d]` of each of U independent draws; the standard error
            is that of their mean.
    """

    masks: Tensor
    matrix: Tensor
    influence: Callable[[Tensor], Tensor]

    def estimate(self, values: Tensor) -> Estimate:
        """Return the estimate from the values `[..., M]` of the masks, or from differences of two games' values."""
        if values.shape[-1:] != self.masks.shape[:1]:
            raise ComponentError(f"the design has {len(self.masks)} masks; got values {list(values.shape)}.")
        values = values.double()
        parts = torch.stack([self.influence(each) for each in values.reshape(-1, len(self.masks))])
        errors = parts.std(dim=1) / parts.shape[1] ** 0.5
        shape = (*values.shape[:-1], len(self.matrix))
        return Estimate((values @ self.matrix.T).reshape(shape), errors.reshape(shape), parts.shape[1])


def permutations(
    players: int, samples: int, draw: Draw, *, antithetic: bool = False, sizes: Tensor | None = None
) -> Design:
    """Return a design of `samples` random orders: a player's contributions where it joins those before it.

    The estimate is that of the Shapley value (Castro et al., 2009) or, with `sizes` `[d]`, of the semivalue whose law
    of the number of players before one's own they are. It is unbiased. The masks are the empty one, the full one, and
    each order's beginnings.

    Args:
        players: d.
        samples: orders.
        draw: the generator of each order.
        antithetic: whether each order is followed by its reverse, as one draw with it (Mitchell et al., 2022).
        sizes: sums to 1.
    """
    drawn = [torch.randperm(players, generator=draw(index)) for index in range(samples)]
    orders = torch.stack([each for one in drawn for each in ((one, one.flip(0)) if antithetic else (one,))])
    place = orders.argsort(dim=1)
    beginnings = place[:, None] <= torch.arange(players - 1)[:, None]
    ends = torch.tensor([[False], [True]]).expand(2, players)
    masks = torch.cat([ends, beginnings.reshape(-1, players)])
    # Column of the mask after each player of each order, and before it.
    inner = 2 + torch.arange(len(orders) * (players - 1)).reshape(len(orders), -1)
    columns = torch.cat([torch.zeros(len(orders), 1, dtype=torch.long), inner, torch.ones_like(inner[:, :1])], dim=1)
    after, before = columns.gather(1, place + 1), columns.gather(1, place)
    law = torch.ones(players, dtype=torch.float64) if sizes is None else players * sizes.double()
    factor = law[place]

    def influence(values: Tensor) -> Tensor:
        joined = factor * (values[after] - values[before])
        return joined.reshape(samples, -1, players).mean(dim=1)

    matrix = torch.zeros(players, len(masks), dtype=torch.float64)
    share = (factor / len(orders)).T
    matrix.scatter_add_(1, after.T, share).scatter_add_(1, before.T, -share)
    return Design(masks, matrix, influence)


def kernel_shap(players: int, samples: int, draw: Draw) -> Design:
    """Return a design of `samples` masks and their complements for the Shapley value as a weighted least squares fit.

    Sizes are drawn by the Shapley kernel, so that masks weigh the same; the fit is exact at the empty and the full
    mask, which are the first two. It is consistent, with a bias of order 1 / samples (Covert and Lee, AISTATS 2021).
    Raises ComponentError for fewer than 2 players, or too few samples to tell them apart.
    """
    if players < 2:
        raise ComponentError(f"a regression needs 2 players or more; got {players}.")
    inner = torch.arange(1, players, dtype=torch.float64)
    law = 1 / (inner * (players - inner))
    drawn = [_of_size(players, law, draw(index)) for index in range(samples)]
    chosen = torch.stack([each for one in drawn for each in (one, ~one)])
    shown = chosen.double()
    centred = shown - shown.mean(dim=1, keepdim=True)
    # Rows of `centred` are orthogonal to all ones: filling that direction leaves the fit as it is.
    gram = centred.T @ centred + 1
    _require_rank(torch.linalg.matrix_rank(gram, hermitian=True), players, samples)
    ends = torch.tensor([[False], [True]]).expand(2, players)
    fit = torch.linalg.solve(gram, centred.T)
    size = shown.mean(dim=1)
    first = -(fit * (1 - size)).sum(dim=1) - 1 / players
    last = -(fit * size).sum(dim=1) + 1 / players
    slack: float = (samples / max(samples - players + 1, 1)) ** 0.5

    def influence(values: Tensor) -> Tensor:
        response = values[2:] - (1 - size) * values[0] - size * values[1]
        residual = response - centred @ (fit @ response)
        pairs = (fit * residual).T.reshape(samples, 2, players).sum(dim=1)
        return torch.mul(pairs, slack * samples)

    return Design(torch.cat([ends, chosen]), torch.cat([first[:, None], last[:, None], fit], dim=1), influence)


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
    return _minus(_means(masks, masks.double()), _means(masks, (~masks).double()))


def regression(
    players: int,
    samples: int,
    draw: Draw,
    *,
    kernel: Callable[[Tensor], Tensor] | None = None,
    ridge: float = 0.0,
) -> Design:
    """Return a design of `samples` uniform masks for the coefficients of a weighted ridge regression with intercept.

    Without a kernel and a ridge that is the Banzhaf value, and with them LIME.

    Args:
        players: d.
        samples: masks.
        draw: the generator of each mask.
        kernel: weights `[M]` of masks that show a share `[M]` of the players; equal ones by default.
        ridge: penalty on the squared coefficients, against the sum over all 2^d masks.

    Raises:
        ComponentError: too few samples for a fit without a ridge.
    """
    masks = _independent(players, samples, draw, 0.5)
    design = torch.cat([torch.ones(samples, 1, dtype=torch.float64), masks.double()], dim=1)
    weights = torch.ones(samples, dtype=torch.float64) if kernel is None else kernel(masks.double().mean(dim=1))
    penalty = torch.full((players + 1,), ridge * samples / 2.0**players, dtype=torch.float64)
    penalty[0] = 0
    gram = design.T @ (weights[:, None] * design) + penalty.diag()
    _require_rank(torch.linalg.matrix_rank(gram, hermitian=True), players + 1, samples)
    fit = torch.linalg.solve(gram, design.T * weights)
    pull = torch.linalg.solve(gram, penalty.diag())
    slack: float = (samples / max(samples - players - 1, 1)) ** 0.5

    def influence(values: Tensor) -> Tensor:
        coefficients = fit @ values
        moved = (fit * (values - design @ coefficients)).T - pull @ coefficients / samples
        return torch.mul(moved[:, 1:], slack * samples)

    return Design(masks, fit[1:], influence)


def exhaustive(masks: Tensor, matrix: Tensor) -> Design:
    """Return a design without chance, such as an exact summary that reads few masks: its errors are 0."""
    return Design(masks, matrix, lambda values: matrix.new_zeros(2, len(matrix)))


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

    return Design(masks, matrix, influence)


def _minus(one: Design, other: Design) -> Design:
    return Design(one.masks, one.matrix - other.matrix, lambda values: one.influence(values) - other.influence(values))


def _require_rank(rank: Tensor, needed: int, samples: int) -> None:
    if int(rank) < needed:
        raise ComponentError(
            f"{samples} samples do not tell the players apart (rank {int(rank)} of {needed}); take more, "
            "or a ridge above 0."
        )
