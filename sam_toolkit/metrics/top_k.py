"""How many of the k best pixels two maps have in common: what top-k intersection and LENS share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeVar

import torch
from torch import Tensor

from sam_toolkit import ops
from sam_toolkit.component import PairMetric, PairScores
from sam_toolkit.metrics.chance import with_chance
from sam_toolkit.metrics.growing_sets import GrowingSets, Sets
from sam_toolkit.metrics.lens_released import ABOUT, Deviation
from sam_toolkit.types import Params
from sam_toolkit.types import field as parameter

_REFERENCE = "Kamath et al., Rethinking Robustness of Model Attributions, AAAI 2024, arXiv:2312.10534"


class TopKParams(Params):
    """Hyperparameters of everything that compares the k best pixels."""

    k: int = parameter(1000, ge=1, help="pixels that are compared, at most a map's")
    w: int = parameter(1, ge=0, help="rows and columns that a window goes to each side of a pixel: 2w + 1 in all")
    diverse: bool = parameter(
        False, help="whether pixels are picked from the best one down, each with none picked before in its window"
    )
    compat: Deviation | tuple[Deviation, ...] | None = parameter(None, help=ABOUT)

    def deviations(self) -> frozenset[str]:
        """Return the deviations of the released code that are kept, all by name."""
        kept = self.compat if isinstance(self.compat, tuple) else (self.compat,)
        every = Deviation.__args__ if "lens-2024" in kept else kept  # type: ignore[attr-defined]
        return frozenset(name for name in every if name)


class IntersectionParams(TopKParams):
    """Hyperparameters of the top-k intersection."""

    w: int = parameter(1, ge=0, help="rows and columns that stay free around each of the diverse pixels; else unused")


P = TypeVar("P", bound=TopKParams)


_Prepared = dict[tuple[int, int], GrowingSets]
"""Sets by how far their pixels are apart, and how far from them others count."""


class TopKMetric(PairMetric[P]):
    """A share of k pixels that two maps have in common, by a window around the pixels of one of them."""

    reference = _REFERENCE
    bounds = (0.0, 1.0)
    symmetric = False  # where diverse sets have found different numbers of pixels
    near: ClassVar[bool] = True
    """Whether pixels within the window count."""
    counts_second: ClassVar[bool] = True
    """Whether the second map's pixels are counted near those of the first, or the other way round."""

    def shares(self, params: P) -> frozenset[str]:
        """Return k and w: pixels are put in order once, and sets of all sizes found together."""
        return frozenset({"k", "w"})

    def keeps_identity(self, params: P) -> bool:
        """Return whether equal maps give 1, which the released code does not where a pixel or a set comes up short."""
        return not params.deviations() & {"pixel-zero", "nominal-k"}

    def prepare(self, maps: Tensor, settings: Sequence[P]) -> _Prepared:
        """Return the sets of maps `[K, N, H, W]` for every window; ComponentError where k is more than their pixels."""
        ks = dict.fromkeys(setting.k for setting in settings)
        sets = Sets.of(maps, list(ks), settings[0].deviations())
        return {windows: sets.growing(*windows) for windows in dict.fromkeys(map(self._windows, settings))}

    def _windows(self, setting: P) -> tuple[int, int]:
        """Return how far picks are apart, and how far from them others count."""
        return setting.w if setting.diverse else 0, setting.w if self.near else 0

    def compare(self, prepared: _Prepared, pairs: Tensor, settings: Sequence[P]) -> PairScores:
        """Return the share of each pair as values `[S, P, N]`, with chance levels, and what diverse sets found."""
        found: dict[P, PairScores] = {}
        roles = (pairs if self.counts_second else pairs.flip(1)).contiguous()
        for windows, sets in prepared.items():
            alike = [setting for setting in settings if self._windows(setting) == windows]
            ks = list(dict.fromkeys(setting.k for setting in alike))
            hits = dict(zip(ks, ops.overlaps(sets.reach, sets.picks, roles, ks).unbind(-1), strict=True))
            found.update({setting: self._scores(setting, sets, hits[setting.k], roles) for setting in alike})
        own = [found[setting] for setting in settings]
        extras = {name: torch.stack([scores.extras[name] for scores in own]) for name in own[0].extras}
        return PairScores(torch.stack([scores.values for scores in own]), extras)

    def _scores(self, setting: P, sets: GrowingSets, hits: Tensor, roles: Tensor) -> PairScores:
        """Return the scores `[P, N]` from the pixels `[N, P]` in common; the map whose pixels count comes second."""
        near, counted = roles.unbind(1)
        pixels = sets.found[setting.k]
        whole = setting.k if "nominal-k" in setting.deviations() else pixels[:, counted]
        undefined = sets.undefined[:, near] | sets.undefined[:, counted]
        if "pool" in setting.deviations():
            undefined = undefined | (torch.minimum(sets.taken[:, near], sets.taken[:, counted]) < setting.k)
        values = (hits.double() / whole).masked_fill(undefined, torch.nan).T
        # Of pixels drawn at random, the share that lies near a set is the share of the map that does.
        chance = (sets.covered[setting.k][:, near] * (pixels[:, counted] / whole)).T
        first, second = (near, counted) if self.counts_second else (counted, near)
        sizes = {"found_first": pixels[:, first].T, "found_second": pixels[:, second].T} if setting.diverse else {}
        return with_chance(values, chance, **sizes)


class TopKIntersection(TopKMetric[IntersectionParams]):
    """The share of the k best pixels of one map that are among the k best of the other; ties by lower index.

    Diverse sets that find fewer than k pixels count by what the second map's found. The chance level is exact for
    pixels drawn at random: the share of the map that the first map's set takes up.
    """

    name = "top-k-intersection"
    near = False
