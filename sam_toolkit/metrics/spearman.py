"""Spearman rank correlation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy.stats import rankdata
from torch import Tensor

from sam_toolkit.component import PairMetric, PairScores
from sam_toolkit.metrics.correlation import correlations, unit_vectors
from sam_toolkit.types import Params


class SpearmanParams(Params):
    """Spearman correlation has no hyperparameters."""


class Spearman(PairMetric[SpearmanParams]):
    """The correlation of the ranks of two maps' pixels, averaged for ties; NaN where a map is constant."""

    name = "spearman"
    reference = "Spearman, The Proof and Measurement of Association between Two Things, 1904"

    def prepare(self, maps: Tensor, settings: Sequence[SpearmanParams]) -> Tensor:
        """Return the ranks of maps `[K, N, H, W]` as unit vectors `[K, N, H * W]`."""
        return unit_vectors(torch.from_numpy(rankdata(maps.cpu().flatten(2).numpy(), axis=-1)))

    def compare(self, prepared: Tensor, pairs: Tensor, settings: Sequence[SpearmanParams]) -> PairScores:
        """Return the rank correlation of each pair as values `[S, P, N]`."""
        return PairScores(correlations(prepared, pairs).expand(len(settings), -1, -1))
