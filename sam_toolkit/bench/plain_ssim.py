"""SSIM in the plain PyTorch that a user would write: pair by pair, and with the statistics of each map kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sam_toolkit.bench.settings import WINDOWS

SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2  # of a data range of 1


@dataclass(frozen=True)
class Window:
    """One of the windows that a benchmark knows by name."""

    name: str

    @property
    def side(self) -> int:
        """Side in pixels."""
        return WINDOWS[self.name]

    @property
    def gaussian(self) -> bool | float:
        """The sigma in pixels, False where all pixels weigh the same."""
        return SIGMA if self.name == "gaussian" else False

    @property
    def label(self) -> str:
        """The window in words."""
        return f"Gaussian {self.side}" if self.gaussian else f"uniform {self.side}"

    @cached_property
    def taps(self) -> list[float]:
        """Weights along one side."""
        reach = self.side // 2
        raw = [math.exp(-0.5 * (i / SIGMA) ** 2) if self.gaussian else 1.0 for i in range(-reach, reach + 1)]
        return [weight / sum(raw) for weight in raw]

    @property
    def unbiased(self) -> float:
        """What turns a population covariance into a sample covariance."""
        return self.side**2 / (self.side**2 - 1)

    def mean(self, maps: Tensor) -> Tensor:
        """Return the weighted mean at each whole window; sums of shifted maps beat PyTorch's pooling on a CPU."""
        for axis in (-2, -1):
            length = maps.shape[axis] - self.side + 1
            total = maps.narrow(axis, 0, length) * self.taps[0]
            for start, tap in enumerate(self.taps[1:], start=1):
                total.add_(maps.narrow(axis, start, length), alpha=tap)
            maps = total
        return maps


def pairwise(window: Window) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a function from maps `[n, 1, H, W]`, twice, to `[n]`: all five filters for each pair."""

    def score(a: Tensor, b: Tensor) -> Tensor:
        mean_a, mean_b, square_a, square_b, product = window.mean(torch.stack([a, b, a * a, b * b, a * b]))
        means = mean_a * mean_b
        squares = mean_a.square_().add_(mean_b.square_())
        variances = square_a.add_(square_b).sub_(squares).mul_(window.unbiased)
        covariance = product.sub_(means).mul_(window.unbiased)
        return _similarity(means, covariance, squares.add_(_C1).mul_(variances.add_(_C2)))

    return score


def cached(window: Window, maps: Tensor, batch: int) -> Tensor:
    """Return `[P]`, all pairs of maps `[K, H, W]`: mean and variance once a map, and one filter for each pair."""
    means = window.mean(maps)
    variances = window.unbiased * (window.mean(maps.square()) - means.square())
    luminance, contrast = means.square() + _C1 / 2, variances + _C2 / 2
    found = []
    for i, other in enumerate(range(1, len(maps))):
        for start in range(other, len(maps), batch):
            j = slice(start, start + batch)
            both = means[i] * means[j]
            covariance = window.mean(maps[i] * maps[j]).sub_(both).mul_(window.unbiased)
            below = (luminance[i] + luminance[j]).mul_(contrast[i] + contrast[j])
            found.append(_similarity(both, covariance, below))
    return torch.cat(found)


def _similarity(means: Tensor, covariance: Tensor, below: Tensor) -> Tensor:
    """Return the mean SSIM of each first index, from the product of means and the denominator; writes over them."""
    above = means.mul_(2).add_(_C1).mul_(covariance.mul_(2).add_(_C2))
    return above.div_(below).flatten(1).mean(1)
