"""Kendall rank correlation."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from sam_toolkit import ops
from sam_toolkit.component import PairMetric, PairScores
from sam_toolkit.metrics.chance import with_chance
from sam_toolkit.types import Params


class KendallParams(Params):
    """Kendall correlation has no hyperparameters."""


class Kendall(PairMetric[KendallParams]):
    """Kendall's tau-b of two maps' pixels: of pairs of pixels, how many more both maps put in the same order.

    NaN where a map is constant. The chance level is 0, exactly for pixels in random places.
    """

    name = "kendall"
    reference = "Kendall, The Treatment of Ties in Ranking Problems, Biometrika 33, 1945"

    def prepare(self, maps: Tensor, settings: Sequence[KendallParams]) -> Tensor:
        """Return maps `[K, N, H, W]` as `[N, K, H * W]`, the layout of the operator."""
        return maps.transpose(0, 1).flatten(2)

    def compare(self, prepared: Tensor, pairs: Tensor, settings: Sequence[KendallParams]) -> PairScores:
        """Return tau-b of each pair as values `[S, P, N]`."""
        return with_chance(ops.kendall(prepared, pairs).T.expand(len(settings), -1, -1), 0.0)
