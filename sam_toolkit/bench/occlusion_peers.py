"""Captum's two ways to slide a patch over an image, around a model that costs almost nothing."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sam_toolkit.bench.cases import SkipPeer
from sam_toolkit.bench.scenes import Scene

Slide = Callable[[int], Tensor]
"""From the images in a batch to the map `[1, H, W]`."""


class Pixels:
    """A model whose one score is the sum of the pixels at every `step`-th place; `rows` counts the images it got."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.rows = 0

    def __call__(self, images: Tensor) -> Tensor:
        """Return scores `[N, 1]` of images `[N, C, H, W]`."""
        self.rows += len(images)
        return images[:, 0, :: self.step, :: self.step].sum(dim=(1, 2))[:, None]


def _occlusion(seen: Scene, model: Pixels) -> Slide:
    method = _captum().Occlusion(model)
    window, strides = (3, seen.patch, seen.patch), (3, seen.stride, seen.stride)

    def slide(batch: int) -> Tensor:
        found: Tensor = method.attribute(seen.image, window, strides, target=0, perturbations_per_eval=batch)
        return found[:, 0]

    return slide


def _feature_ablation(seen: Scene, model: Pixels) -> Slide:
    method = _captum().FeatureAblation(model)
    if seen.stride != seen.patch:
        raise SkipPeer("its patches cannot overlap")
    places = torch.zeros(1, 1, *seen.image.shape[2:], dtype=torch.long, device=seen.image.device)
    for number, (_, y0, x0, y1, x1) in enumerate(seen.boxes.tolist()):
        places[..., y0:y1, x0:x1] = number

    def slide(batch: int) -> Tensor:
        found: Tensor = method.attribute(seen.image, target=0, feature_mask=places, perturbations_per_eval=batch)
        return found[:, 0]

    return slide


def _captum() -> Any:
    try:
        return importlib.import_module("captum.attr")
    except ImportError as error:
        raise SkipPeer(f"not installed, or broken ({error}): pip install 'sam-toolkit[bench]'") from error


PEERS: dict[str, Callable[[Scene, Pixels], Slide]] = {
    "captum Occlusion": _occlusion,
    "captum FeatureAblation": _feature_ablation,
}
