"""Structural similarity."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import field_validator
from torch import Tensor

from sam_toolkit import ops
from sam_toolkit.component import PairMetric, PairScores
from sam_toolkit.types import Params, field


class SSIMParams(Params):
    """Hyperparameters of SSIM."""

    window: int = field(5, ge=3, help="side of the uniform window in pixels, odd; of no effect with sigma")
    sigma: float | None = field(
        None, ge=0.15, help="standard deviation in pixels of a Gaussian window instead; 1.5 spans 11 pixels"
    )
    data_range: float | None = field(
        None, gt=0, help="largest less smallest value of a map; if left out, by the maps' known range, or 2"
    )

    @field_validator("window")
    @classmethod
    def _odd(cls, window: int) -> int:
        if window % 2 == 0:
            raise ValueError("Input should be odd")
        return window


class SSIM(PairMetric[SSIMParams]):
    """The mean structural similarity of two maps, with scikit-image's constants and sample covariance.

    Unrelated maps with few sharp peaks can reach 0.4 after scaling: read it beside a rank correlation.
    """

    name = "ssim"
    reference = "Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity, 2004"

    def shares(self, params: SSIMParams) -> frozenset[str]:
        """Return every field: maps are laid out once for all settings."""
        return frozenset(SSIMParams.model_fields)

    def for_range(self, params: SSIMParams, low: float, high: float) -> SSIMParams:
        """Return the setting with the data range `high - low`, where it was left open."""
        return params if params.data_range is not None else params.varied(data_range=high - low)

    def prepare(self, maps: Tensor, settings: Sequence[SSIMParams]) -> Tensor:
        """Return maps `[K, N, H, W]` as `[N, K, H, W]`, the layout of the operator."""
        return maps.transpose(0, 1).contiguous()

    def compare(self, prepared: Tensor, pairs: Tensor, settings: Sequence[SSIMParams]) -> PairScores:
        """Return the SSIM of each pair as values `[S, P, N]`; OpError for maps smaller than the window."""
        return PairScores(torch.stack([_mean_ssim(prepared, pairs, setting) for setting in settings]))


def _mean_ssim(maps: Tensor, pairs: Tensor, setting: SSIMParams) -> Tensor:
    data_range = 2.0 if setting.data_range is None else setting.data_range
    window, gaussian = (setting.window, False) if setting.sigma is None else (None, setting.sigma)
    return ops.ssim(maps, pairs, window, gaussian, data_range).T.double()
