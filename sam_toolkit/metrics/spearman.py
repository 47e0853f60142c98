"""Spearman rank correlation."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from sam_toolkit import ops
from sam_toolkit.component import PairMetric, PairScores
from sam_toolkit.metrics.chance import with_chance
from sam_toolkit.metrics.correlation import correlations, unit_vectors
from sam_toolkit.types import Params


class SpearmanParams(Params):
    """Spearman correlation has no hyperparameters."""


class Spearman(PairMetric[SpearmanParams]):
    """The correlation of the ranks of two maps' pixels, averaged for ties; NaN where a map is constant.

    The chance level is 0, exactly for pixels in random places.
    """

    name = "spearman"
    reference = "Spearman, The Proof and Measurement of Association between Two Things, 1904"

    def prepare(self, maps: Tensor, settings: Sequence[SpearmanParams]) -> Tensor:
        """Return the ranks of maps `[K, N, H, W]` as unit vectors `[K, N, H * W]`."""
        return unit_vectors(ops.average_ranks(maps.flatten(2)))

    def compare(self, prepared: Tensor, pairs: Tensor, settings: Sequence[SpearmanParams]) -> PairScores:
        """Return the rank correlation of each pair as values `[S, P, N]`."""
        return with_chance(correlations(prepared, pairs).expand(len(settings), -1, -1), 0.0)
