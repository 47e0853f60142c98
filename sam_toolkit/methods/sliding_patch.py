"""Sliding patch, also called occlusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import ValidationInfo, field_validator
from skimage.transform import resize
from torch import Tensor

from sam_toolkit import ops
from sam_toolkit.component import MapFacts, Method, Work
from sam_toolkit.errors import ComponentError
from sam_toolkit.fills import Fill, Filling
from sam_toolkit.incremental import IncrementalOcclusion, Request, Window, saving
from sam_toolkit.model import Model, Score, pick
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch, Params, field

_Size = tuple[int, int]
"""(H, W)."""


class SlidingPatchParams(Params):
    """Hyperparameters of the sliding patch."""

    conventions: ClassVar[Mapping[str, Mapping[str, Any]]] = {"sam-2020": {"border": "floor"}}

    patch: int = field(29, ge=1, help="side of the square patch in pixels, at most the image's shorter side")
    stride: int = field(8, ge=1, help="step from one window to the next in pixels")
    fill: Fill = field("mean", help="what hides a window: mean (0 at inputs), black, blur, noise, a level, a colour")
    blur_sigma: float = field(10.0, gt=0, help="standard deviation of the blur in pixels, where fill is blur")
    seed: int = field(0, ge=0, help="seed of the noise, where fill is noise")
    border: Literal["flush", "floor"] = field(
        "flush", help="flush: a last window at the far border where the stride ends short of it; floor: none"
    )
    compat: Literal["sam-2020"] | None = field(
        None,
        help="sam-2020: the grid of values is stretched over the image, as SAM's was; takes border floor",
    )
    score: Score = field("probability", help="whose drop is measured: the target's logit or its probability")

    @field_validator("compat")
    @classmethod
    def _takes_floor(cls, compat: str | None, info: ValidationInfo) -> str | None:
        if compat and info.data.get("border") == "flush":
            raise ValueError(f"{compat} left out the window at the far border: set border to floor too")
        return compat

    def filling(self) -> Filling:
        """Return the fill with what it depends on."""
        return Filling.of(self.fill, self.blur_sigma, self.seed)

    def windows(self, size: _Size) -> list[Window]:
        """Return the windows of an image, row by row; ComponentError where the patch is larger."""
        tops, lefts = (self.starts(side) for side in size)
        return [(y, x, y + self.patch, x + self.patch) for y in tops for x in lefts]

    def starts(self, side: int) -> list[int]:
        """Return where windows start along a side; ComponentError where the patch is larger."""
        last = side - self.patch
        if last < 0:
            raise ComponentError(
                "SlidingPatch: patch must be at most the image's shorter side; "
                f"got {self.patch} for a side of {side}. Choose smaller patches."
            )
        found = list(range(0, last + 1, self.stride))
        return found if self.border == "floor" or found[-1] == last else [*found, last]


class SlidingPatch(Method[SlidingPatchParams]):
    """The drop of the target's score when a patch hides part of the image, window by window.

    A pixel's value is the mean drop over the windows that cover it, and 0 where none does. With
    `compat: sam-2020` the grid of drops, one a window, is stretched over the whole image instead, by a spline
    of order 5. Of a network that torch.fx can trace, only what a window changes is computed again.
    """

    name = "sliding-patch"
    reference = "Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014"

    def shares(self, params: SlidingPatchParams) -> frozenset[str]:
        """Return every field but the score: settings share the whole image's pass and equal windows."""
        return frozenset(SlidingPatchParams.model_fields) - {"score"}

    def reruns(self, params: SlidingPatchParams, count: int) -> list[SlidingPatchParams]:
        """Return settings with other seeds where the fill is noise; else nothing is drawn."""
        return super().reruns(params, count) if params.fill == "noise" else []

    def facts(self, params: SlidingPatchParams) -> MapFacts:
        """Return that maps are signed, and differences of probabilities unless logits are asked for."""
        return MapFacts(signed=True, value_range=(-1.0, 1.0) if params.score == "probability" else None)

    def grid(self, params: SlidingPatchParams, size: tuple[int, int]) -> tuple[int, int]:
        """Return the number of windows down and across."""
        return len(params.starts(size[0])), len(params.starts(size[1]))

    def rows(self, settings: Sequence[SlidingPatchParams], shape: tuple[int, int, int]) -> int:
        """Return one for the whole image and one for each window that differs in place or fill."""
        return 1 + sum(len(windows) for windows in _distinct(settings, shape[1:]).values())

    def work(self, model: Model, settings: Sequence[SlidingPatchParams], shape: tuple[int, int, int]) -> Work:
        """Return the share of the network that windows change, or why each is a whole row."""
        windows = [window for part in _distinct(settings, shape[1:]).values() for window in part]
        found = saving(model, shape, windows)
        if found.why_dense:
            return Work(1.0, f"whole rows, for {found.why_dense}")
        share = found.incremental / found.dense
        return Work(share, f"only what a window changes is computed: {share:.0%} of whole rows' multiply-adds")

    def maps(self, model: Model, batch: Batch, settings: Sequence[SlidingPatchParams], rng: Rng) -> Tensor:
        """Return maps `[S, N, H, W]`; raises ComponentError where a patch is larger than the images."""
        height, width = batch.images.shape[-2:]
        targets, score = batch.targets.to(model.device), settings[0].score
        distinct = _distinct(settings, (height, width))
        requests = [Request(list(windows), filling.inputs(model, batch, rng)) for filling, windows in distinct.items()]
        whole, hidden = IncrementalOcclusion(model).run(
            model.inputs(batch.images), requests, lambda logits, images: pick(logits, targets[images], score)
        )
        drops = {
            filling: dict(zip(windows, whole - scores, strict=True))
            for (filling, windows), scores in zip(distinct.items(), hidden, strict=True)
        }
        return torch.stack([_map(setting, drops[setting.filling()], (height, width)) for setting in settings])


def _distinct(settings: Sequence[SlidingPatchParams], size: _Size) -> dict[Filling, dict[Window, None]]:
    """Return the different windows of all settings, by what fills them, in order."""
    found: dict[Filling, dict[Window, None]] = {}
    for setting in settings:
        found.setdefault(setting.filling(), {}).update(dict.fromkeys(setting.windows(size)))
    return found


def _map(setting: SlidingPatchParams, drops: Mapping[Window, Tensor], size: _Size) -> Tensor:
    """Return the maps `[N, H, W]` of the drops `[N]` that each window causes."""
    windows = setting.windows(size)
    values = torch.stack([drops[window] for window in windows], dim=1)
    if setting.compat == "sam-2020":
        grids = values.cpu().numpy().reshape(len(values), len(setting.starts(size[0])), -1)
        stretched = [resize(grid, size, order=5) for grid in grids]
        return torch.from_numpy(np.stack(stretched)).to(values)
    boxes = [(image, *window) for image in range(len(values)) for window in windows]
    return ops.occlusion_map(values.flatten(), torch.tensor(boxes), (len(values), *size))
