"""Agreement of two maps' signs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sam_toolkit.component import PairMetric, PairScores
from sam_toolkit.metrics.chance import with_chance
from sam_toolkit.metrics.growing_sets import top_k_mask
from sam_toolkit.types import Params, field

_EXACT = 2**24
"""Up to here float32 has every whole number, so that pixels can be counted in it, in half of the time."""


class SignParams(Params):
    """Hyperparameters of the agreement of signs."""

    k: int | None = field(
        None, ge=1, help="pixels of largest absolute value: only those among them in both maps agree; none: all pixels"
    )


class SignAgreement(PairMetric[SignParams]):
    """The share of pixels whose values have the same sign in two maps, zero being one of its own; or of the k largest.

    With k it is the sign agreement of Krishna et al. The chance level is exact for one map's pixels in random places.
    """

    name = "sign-agreement"
    reference = "Krishna et al., The Disagreement Problem in Explainable Machine Learning, 2022, arXiv:2202.01602"
    bounds = (0.0, 1.0)

    def prepare(self, maps: Tensor, settings: Sequence[SignParams]) -> Tensor:
        """Return which pixels count with each sign, `[3, N, K, H * W]`; NaN all over for a map with a NaN."""
        k = settings[0].k
        counted = torch.ones_like(maps, dtype=torch.bool) if k is None else top_k_mask(maps.abs(), k)
        signs = torch.stack([(maps.sign() == sign) & counted for sign in (-1, 0, 1)])
        undefined = maps.isnan().any(-1).any(-1)[..., None, None]
        exact = torch.float32 if maps.shape[-2] * maps.shape[-1] <= _EXACT else torch.float64
        return signs.to(exact).masked_fill(undefined, torch.nan).transpose(1, 2).flatten(3)

    def compare(self, prepared: Tensor, pairs: Tensor, settings: Sequence[SignParams]) -> PairScores:
        """Return the share of each pair's pixels as values `[S, P, N]`."""
        a, b = pairs.unbind(1)
        pixels = prepared.shape[-1]
        whole = settings[0].k or pixels
        alike = (prepared @ prepared.mT).double().sum(0)[:, a, b].T / whole
        each = prepared.sum(-1).double()
        chance = (each[..., a] * each[..., b]).sum(0).T / (whole * pixels)
        shape = (len(settings), *alike.shape)
        return with_chance(alike.expand(shape), chance.expand(shape))
