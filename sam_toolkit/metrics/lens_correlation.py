"""LENS's rank correlations: of maps smoothed over windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from sam_toolkit import ops
from sam_toolkit.component import PairMetric, PairScores
from sam_toolkit.metrics.border_bias import BorderBias
from sam_toolkit.metrics.chance import with_chance
from sam_toolkit.metrics.correlation import correlations, unit_vectors
from sam_toolkit.smoothing import Padding, smoothed
from sam_toolkit.types import Params, field


class SmoothedParams(Params):
    """Hyperparameters of rank correlations of smoothed maps."""

    w: int = field(1, ge=0, help="rows and columns that a window goes to each side of a pixel; 0: no smoothing")
    padding: Padding = field(
        "zero",
        help="what windows find outside: zero, the paper's, which makes unrelated maps alike along the border; "
        "symmetric, the map mirrored, which does not; valid: nothing, the mean being of what is inside",
    )


@dataclass(frozen=True)
class _Smoothed:
    """Smoothed maps as a correlation takes them, and how alike unrelated ones would be."""

    maps: Tensor
    bias: BorderBias


class LensSpearman(PairMetric[SmoothedParams]):
    """Spearman's rank correlation of two maps smoothed by the mean over windows; NaN where one is then constant.

    The chance level, for the maps' pixels in random places, is 0 for symmetric and valid padding and positive for zero
    padding of positive maps: an estimate, which takes sums over windows for normal.
    """

    name = "lens-spearman"
    reference = "Kamath et al., Rethinking Robustness of Model Attributions, AAAI 2024, arXiv:2312.10534"

    def prepare(self, maps: Tensor, settings: Sequence[SmoothedParams]) -> _Smoothed:
        """Return the ranks of smoothed maps as unit vectors `[K, N, H * W]`."""
        w, padding = settings[0].w, settings[0].padding
        ranks = ops.average_ranks(smoothed(maps, w, padding).flatten(2))
        return _Smoothed(unit_vectors(ranks), BorderBias.of(maps, w, padding))

    def compare(self, prepared: _Smoothed, pairs: Tensor, settings: Sequence[SmoothedParams]) -> PairScores:
        """Return the rank correlation of each pair as values `[S, P, N]`."""
        values = correlations(prepared.maps, pairs).expand(len(settings), -1, -1)
        return with_chance(values, prepared.bias.spearman(pairs))


class LensKendall(PairMetric[SmoothedParams]):
    """Kendall's tau-b of two maps smoothed by the mean over windows; NaN where one is then constant.

    Its chance level is had as that of lens-spearman.
    """

    name = "lens-kendall"
    reference = LensSpearman.reference

    def prepare(self, maps: Tensor, settings: Sequence[SmoothedParams]) -> _Smoothed:
        """Return smoothed maps as `[N, K, H * W]`, the layout of the operator."""
        w, padding = settings[0].w, settings[0].padding
        rows = smoothed(maps, w, padding).transpose(0, 1).flatten(2)
        return _Smoothed(rows, BorderBias.of(maps, w, padding))

    def compare(self, prepared: _Smoothed, pairs: Tensor, settings: Sequence[SmoothedParams]) -> PairScores:
        """Return tau-b of each pair as values `[S, P, N]`."""
        values = ops.kendall(prepared.maps, pairs).T.expand(len(settings), -1, -1)
        return with_chance(values, prepared.bias.kendall(pairs))
