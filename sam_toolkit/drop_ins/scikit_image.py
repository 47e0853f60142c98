"""scikit-image's structural similarity."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from skimage import metrics
from torch import Tensor

from sam_toolkit import ops

_SIGNATURE = inspect.signature(metrics.structural_similarity)
_OWN = {"K1": 0.01, "K2": 0.03, "sigma": 1.5, "use_sample_covariance": True}
"""Keyword arguments that the signature does not name, with their defaults."""


def structural_similarity(im1: np.ndarray, im2: np.ndarray, **kwargs: Any) -> Any:
    """Return what `skimage.metrics.structural_similarity` does, for the same arguments.

    Images `[H, W]` of floats, or with a channel axis, go to the compiled operator, whole maps (`full`) too; a gradient,
    other constants or dtypes, volumes, and what is to be refused go to scikit-image.
    """
    asked = _SIGNATURE.bind(im1, im2, **kwargs)
    asked.apply_defaults()
    choices = {**_OWN, **asked.arguments.pop("kwargs"), **asked.arguments}
    return _quick(choices) if _known(choices) else metrics.structural_similarity(im1, im2, **kwargs)


def _known(asked: Mapping[str, Any]) -> bool:
    """Return whether the operator computes what is asked."""
    first, second = asked["im1"], asked["im2"]
    images = all(isinstance(image, np.ndarray) and image.dtype in (np.float32, np.float64) for image in (first, second))
    if not images or first.shape != second.shape or first.dtype != second.dtype or asked["data_range"] is None:
        return False
    channels = None if asked["channel_axis"] is None else asked["channel_axis"] % first.ndim
    sides = [side for axis, side in enumerate(first.shape) if axis != channels]
    constants = (asked["K1"], asked["K2"], asked["gradient"]) == (0.01, 0.03, False)
    window = _window(asked)
    weights = asked["win_size"] in (None, window) if asked["gaussian_weights"] else window % 2 == 1
    return len(sides) == 2 and constants and weights and 3 <= window <= min(sides) and asked["data_range"] > 0


def _window(asked: Mapping[str, Any]) -> int:
    if asked["gaussian_weights"]:
        return 2 * int(3.5 * asked["sigma"] + 0.5) + 1
    return int(asked["win_size"] or 7)


def _quick(asked: Mapping[str, Any]) -> Any:
    images = np.stack([asked["im1"], asked["im2"]])
    axis = asked["channel_axis"]
    planes = images[:, None] if axis is None else np.moveaxis(images, 1 + axis % (images.ndim - 1), 1)
    maps = torch.from_numpy(np.ascontiguousarray(planes)).transpose(0, 1).contiguous()
    window = _window(asked)
    pair = torch.tensor([[0, 1]])
    shape = (None, asked["sigma"]) if asked["gaussian_weights"] else (window, False)
    rest = (*shape, float(asked["data_range"]), bool(asked["use_sample_covariance"]))
    mean = ops.ssim(maps, pair, *rest)[:, 0].double().mean().item()
    found = np.float64(mean) if axis is None else images.dtype.type(mean)
    if not asked["full"]:
        return found
    whole = ops.ssim_map(_mirrored(maps, window // 2), pair, *rest)[:, 0].numpy()
    return found, whole[0] if axis is None else np.moveaxis(whole, 0, axis % (images.ndim - 1))


def _mirrored(maps: Tensor, border: int) -> Tensor:
    """Return maps with a border in which edge pixels come twice, as scipy's mode `reflect` has it."""
    for dim in (-2, -1):
        near, far = maps.narrow(dim, 0, border), maps.narrow(dim, maps.shape[dim] - border, border)
        maps = torch.cat([near.flip(dim), maps, far.flip(dim)], dim=dim)
    return maps
