"""Small games with known values, and summaries by brute force."""

from __future__ import annotations

from math import comb

import torch
from torch import Tensor, nn

from sam_toolkit.removal.symmetric import presence


class Interacting(nn.Module):
    """Logits `[R, 2]` of rows `[R, F]` that are no sum of one term a feature."""

    def __init__(self, features: int, seed: int = 0) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(features, 8), nn.Linear(8, 2)
        generator = torch.Generator().manual_seed(seed)
        for value in self.parameters():
            value.data.copy_(torch.randn(value.shape, generator=generator))

    def forward(self, rows: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(rows)))


def random_values(players: int, seed: int = 0) -> Tensor:
    """Return a value for each subset, float64 `[2^d]`: no structure at all."""
    return torch.rand(2**players, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def semivalue(players: int, sizes: list[float]) -> Tensor:
    """Return the matrix `[d, 2^d]` whose row averages contributions, by the law of the number of players before."""
    masks = presence(players)
    matrix = torch.zeros(players, len(masks), dtype=torch.float64)
    for player in range(players):
        for code in range(len(masks)):
            before = int(masks[code].sum()) - int(masks[code, player])
            sign = 1 if masks[code, player] else -1
            matrix[player, code] = sign * sizes[before] / comb(players - 1, before)
    return matrix


def shapley(players: int) -> Tensor:
    return semivalue(players, [1 / players] * players)


def banzhaf(players: int, keep: float = 0.5) -> Tensor:
    return semivalue(players, binomial(players, keep))


def binomial(players: int, keep: float = 0.5) -> list[float]:
    """Return the law of the number of the other players that are present."""
    last = players - 1
    return [comb(last, size) * keep**size * (1 - keep) ** (last - size) for size in range(players)]


def mean_when_included(players: int) -> Tensor:
    return presence(players).double().T / 2 ** (players - 1)


def least_squares(players: int, weights: Tensor, ridge: float) -> Tensor:
    """Return the matrix of the coefficients of a weighted ridge regression on all masks, its intercept free."""
    design = torch.cat([torch.ones(2**players, 1), presence(players).float()], dim=1).double()
    penalty = ridge * torch.eye(players + 1, dtype=torch.float64)
    penalty[0, 0] = 0
    weighted = design.T * weights
    return torch.linalg.solve(weighted @ design + penalty, weighted)[1:]
