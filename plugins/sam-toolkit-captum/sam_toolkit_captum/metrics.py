"""Similarities of attributions and sensitivity to hyperparameters, as functions like those of `captum.metrics`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sam_toolkit import SSIM, Channels, ComponentError, PairMetric, reduce_channels

Attributions = Tensor | tuple[Tensor, ...]


def similarity(
    attributions: Attributions,
    others: Attributions,
    metric: PairMetric[Any] | None = None,
    channels: Channels = "mean",
) -> Tensor:
    """Return the similarity `[N]` of two attributions of each example; SSIM by default.

    Args:
        attributions: `[N, C, H, W]`, or a tuple of one such tensor, as captum returns them.
        others: likewise.
        metric: of two maps, such as `Spearman()` or `LensRecall(k=100, w=1)`; with lists of values, `[*L, N]`.
        channels: how channels become one number. Each map is then divided by its largest magnitude.
    """
    return (metric or _default())(_maps(attributions, channels), _maps(others, channels))


def hyperparameter_sensitivity(
    explanation_func: Callable[..., Attributions],
    inputs: Attributions,
    settings: Sequence[Mapping[str, Any]],
    metric: PairMetric[Any] | None = None,
    channels: Channels = "mean",
    **kwargs: Any,
) -> Tensor:
    """Return by how much an explanation falls short of itself when its settings change, `[N]`.

    It is 1 less the mean similarity over all pairs of settings: 0 where nothing moves. A method that draws moves with
    its seed too: pass settings that differ in nothing but the seed for what that comes to.

    Args:
        explanation_func: the `attribute` of an attribution, captum's or a SamAttribution's.
        inputs: what is explained.
        settings: at least two mappings of keyword arguments, such as `{"n_steps": 20}` and `{"n_steps": 50}`.
        metric: of two maps; SSIM by default.
        channels: how channels become one number.
        **kwargs: what every call gets, such as `target`.

    Raises:
        ComponentError: where there are fewer than two settings.
    """
    if len(settings) < 2:
        raise ComponentError(f"hyperparameter_sensitivity: settings must be two or more; got {len(settings)}.")
    maps = [_maps(explanation_func(inputs, **{**kwargs, **setting}), channels) for setting in settings]
    by_image = torch.stack(maps, dim=1)
    first, second = torch.triu_indices(len(maps), len(maps), offset=1)
    chosen = metric or _default()
    similarities = torch.stack([chosen.matrix(own)[..., first, second].mean(dim=-1) for own in by_image], dim=-1)
    return 1 - similarities


def _default() -> PairMetric[Any]:
    return SSIM(data_range=2.0)


def _maps(attributions: Attributions, channels: Channels) -> Tensor:
    """Return maps `[N, H, W]` with a largest magnitude of 1."""
    found = attributions if isinstance(attributions, Tensor) else attributions[0]
    if found.dim() != 4 or (isinstance(attributions, tuple) and len(attributions) != 1):
        raise ComponentError(f"attributions must be one tensor [N, C, H, W]; got {list(found.shape)}.")
    maps = reduce_channels(found.detach(), channels)
    largest = maps.abs().amax(dim=(1, 2), keepdim=True)
    return maps / largest.where(largest > 0, torch.ones_like(largest))
