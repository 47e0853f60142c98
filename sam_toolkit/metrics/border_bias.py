"""What rank correlations find between unrelated maps that were smoothed with zeros outside.

Windows at the border hold zeros, which puts the border's pixels on the same side in both maps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sam_toolkit.smoothing import Padding

_KINDS = 64


@dataclass(frozen=True)
class BorderBias:
    """For maps `[K, N]`, whether a pixel in one part of the map is likely to exceed one in another part.

    Attributes:
        exceeds: `[K, N, C, C]`, the probability that it does, less the probability that it does not.
        pixels: `[C]`, how many pixels each part has: those whose windows hold equally much.
    """

    exceeds: Tensor
    pixels: Tensor

    @classmethod
    def of(cls, maps: Tensor, window: int, padding: Padding) -> BorderBias:
        """Return what holds for the pixels of maps `[K, N, H, W]` in random places, sums over windows being normal.

        Without zeros outside, every window has the same mean, and nothing is likelier than its opposite.
        """
        held, pixels = _held(maps.shape[-2], maps.shape[-1], window if padding == "zero" else 0)
        values = maps.double().flatten(2)
        mean, variance = values.mean(-1), values.var(-1, correction=0)
        spread = (variance[..., None, None] * (held[:, None] + held)).sqrt()
        difference = mean[..., None, None] * (held[:, None] - held)
        certain = torch.special.erf(difference / (2**0.5 * spread))
        return cls(torch.where(difference == 0, 0.0, certain), pixels)

    def kendall(self, pairs: Tensor) -> Tensor:
        """Return the chance level `[P, N]` of Kendall's correlation of pairs of maps."""
        count = self.pixels.sum()
        weights = self.pixels[:, None] * self.pixels / (count * (count - 1)).clamp(min=1)
        a, b = (self.exceeds[side] for side in pairs.unbind(1))
        return (a * b * weights).sum((-2, -1)).clamp(-1, 1)

    def spearman(self, pairs: Tensor) -> Tensor:
        """Return the chance level `[P, N]` of Spearman's correlation of pairs of maps."""
        count = self.pixels.sum()
        ranks = self.exceeds @ self.pixels / 2  # the mean rank in each part, from the middle
        a, b = (ranks[side] for side in pairs.unbind(1))
        return (12 * (a * b * self.pixels).sum(-1) / (count * (count**2 - 1)).clamp(min=1)).clamp(-1, 1)


def _held(height: int, width: int, window: int) -> tuple[Tensor, Tensor]:
    """Return how many pixels windows hold, in at most about 64 kinds, and how many windows are of each, float64."""
    down, across = (_inside(side, window) for side in (height, width))
    held, pixels = (down[:, None] * across).unique(return_counts=True)
    kind = (pixels.cumsum(0) - pixels) * _KINDS // pixels.sum() if len(held) > _KINDS else torch.arange(len(held))
    kind = kind.unique(return_inverse=True)[1]
    sizes = torch.zeros(int(kind.max()) + 1, dtype=torch.float64).index_add(0, kind, pixels.double())
    return torch.zeros_like(sizes).index_add(0, kind, (held * pixels).double()) / sizes, sizes


def _inside(side: int, window: int) -> Tensor:
    places = torch.arange(side)
    return places.clamp(max=window) + (side - 1 - places).clamp(max=window) + 1
