"""Pearson correlation of many pairs of vectors by one matrix product."""

from __future__ import annotations

import torch
from torch import Tensor


def unit_vectors(values: Tensor) -> Tensor:
    """Return vectors `[..., D]` less their mean and of length 1, float64; NaN where a vector is constant."""
    values = values.double()
    centred = values - values.mean(dim=-1, keepdim=True)
    # Rounding of the mean may leave a constant vector a length a little above 0.
    constant = values.amax(dim=-1, keepdim=True) == values.amin(dim=-1, keepdim=True)
    length: Tensor = torch.linalg.vector_norm(centred, dim=-1, keepdim=True)
    return centred.div_(length.masked_fill_(constant, torch.nan))


def correlations(units: Tensor, pairs: Tensor) -> Tensor:
    """Return the correlations `[P, N]` of the pairs (int64 `[P, 2]`) of unit vectors `[K, N, D]`."""
    by_image = units.transpose(0, 1)
    products = by_image @ by_image.mT
    return products[:, pairs[:, 0], pairs[:, 1]].T.clamp(-1, 1)
