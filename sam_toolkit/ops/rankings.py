"""The order of a map's pixels, their ranks, and Kendall's correlation of many pairs of maps."""

from __future__ import annotations

import torch
from torch import Tensor

from sam_toolkit.ops import _checks, _library


def descending_order(maps: Tensor) -> Tensor:
    """Return the pixels `[..., n]` of maps `[..., n]`, int32: the largest value first, of equal ones the lower index.

    NaN comes before everything else, as PyTorch sorts. Raises OpError for what is no floating-point tensor.
    """
    return _library.call("descending_order", _rows("descending_order", maps)).reshape(maps.shape)


def average_ranks(maps: Tensor) -> Tensor:
    """Return the ranks `[..., n]` of maps `[..., n]`, float64: 1 for the smallest value, the mean rank for equal ones.

    These are the ranks of `scipy.stats.rankdata`; all are NaN in a map that has a NaN. Raises OpError as
    `descending_order` does.
    """
    return _library.call("average_ranks", _rows("average_ranks", maps)).reshape(maps.shape)


def kendall(maps: Tensor, pairs: Tensor) -> Tensor:
    """Return Kendall's tau-b of pairs of maps, `[P]` or `[B, P]`, float64; NaN where a map is constant or has a NaN.

    A pair takes O(n log n) (Knight, A Computer Method for Calculating Kendall's Tau with Ungrouped Data, 1966), and a
    map is sorted once for all its pairs.

    Args:
        maps: `[K, n]`, or `[B, K, n]` for the same pairs of each of B images.
        pairs: int64 `[P, 2]`, indices into K.

    Raises:
        OpError: where a shape or dtype is wrong, or a pair names no map.
    """
    _checks.floating("kendall", "maps", "[K, n] or [B, K, n]", maps, 2, 3)
    batch = maps if maps.dim() == 3 else maps[None]
    result = _library.call("kendall", _readable(batch), _checks.pairs("kendall", pairs, batch.shape[1]))
    return result if maps.dim() == 3 else result[0]


def _rows(op: str, maps: Tensor) -> Tensor:
    """Return maps `[B, n]` in a dtype that the kernel reads."""
    fits = maps.is_floating_point() and maps.dim() >= 1
    _checks.require(fits, op, "maps must be a floating-point tensor [..., n]", _checks.describe(maps))
    return _readable(maps).reshape(maps.shape[:-1].numel(), maps.shape[-1])


def _readable(maps: Tensor) -> Tensor:
    return maps.detach() if maps.dtype in (torch.float32, torch.float64) else maps.detach().float()
