"""Weakly supervised localisation: the box around a map's large values against the boxes of its image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Annotated, Literal, TypeVar

import numpy as np
import torch
from pydantic import Field
from scipy.ndimage import label
from torch import Tensor

from sam_toolkit.component import MapMetric
from sam_toolkit.metrics.evidence import Sign, box_masks, strength, union
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch, Params, field

_Alpha = Annotated[float, Field(ge=0, le=1)]
_Region = Literal["all", "largest"]

_Convention = Literal["sam-2020", "union-of-boxes", "box-edge", "above-overlap"]
"""What the original did another way, by name; all of it together."""


class LocalizationParams(Params):
    """Hyperparameters of localisation."""

    alpha: _Alpha | Literal["best"] = field(
        0.2, help="share of the largest value from which on pixels count; best: of alphas, the best for each map"
    )
    alphas: tuple[_Alpha, ...] = field(
        (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5), min_length=1, help="what best chooses from"
    )
    region: _Region = field(
        "all", help="what is boxed: all pixels that count, or the largest region of them that touch, corners included"
    )
    sign: Sign = field("signed", help="signed: only positive values count; absolute: negative ones as much")
    compat: _Convention | tuple[_Convention, ...] | None = field(
        None,
        help="conventions of SAM's code. union-of-boxes: one target, all that the image's boxes cover, else the box "
        "that fits best; box-edge: the first row and column of the predicted box are lost; above-overlap: an IoU that "
        "equals overlap is an error; sam-2020: all of them",
    )

    def follows(self, convention: _Convention) -> bool:
        """Return whether a convention of the original's is kept."""
        kept = self.compat if isinstance(self.compat, tuple) else (self.compat,)
        return convention in kept or "sam-2020" in kept

    def thresholds(self) -> tuple[float, ...]:
        """Return the values of alpha whose best one counts."""
        return self.alphas if self.alpha == "best" else (self.alpha,)


class LocalizationErrorParams(LocalizationParams):
    """Hyperparameters of the localisation error."""

    overlap: float = field(0.5, gt=0, le=1, help="IoU from which on the object counts as found")


P = TypeVar("P", bound=LocalizationParams)


class _Boxed(MapMetric[P]):
    """What compares the box around a map's large values with the boxes of its image."""

    reference = "Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016, arXiv:1512.04150"
    needs_boxes = True

    def shares(self, params: P) -> frozenset[str]:
        """Return every field: settings share the boxes of equal thresholds."""
        return frozenset(type(params).model_fields)


class Localization(_Boxed[LocalizationParams]):
    """The IoU of the box around all values of at least alpha times the largest with the best of the image's boxes.

    A map without positive values has no box: 0. With `alpha: best` each map has the alpha that suits it best, which
    is an upper bound; what one alpha gives for all images is the best of the means over several `alpha`.
    """

    name = "localization"

    def score(
        self, model: Model, batch: Batch, maps: Tensor, settings: Sequence[LocalizationParams], rng: Rng
    ) -> Tensor:
        """Return the IoU of maps `[M, N, H, W]` as float64 `[S, M, N]`; NaN where an image has no box."""
        return _overlaps(batch, maps, settings)


class LocalizationError(_Boxed[LocalizationErrorParams]):
    """Whether the IoU of localization is below `overlap`: 1, or 0; the mean over images is the localisation error."""

    name = "localization-error"
    higher_is_better = False

    def score(
        self, model: Model, batch: Batch, maps: Tensor, settings: Sequence[LocalizationErrorParams], rng: Rng
    ) -> Tensor:
        """Return the errors of maps `[M, N, H, W]` as float64 `[S, M, N]`; NaN where an image has no box."""
        overlaps = _overlaps(batch, maps, settings)
        pairs = zip(settings, overlaps, strict=True)
        missed = [found <= one.overlap if one.follows("above-overlap") else found < one.overlap for one, found in pairs]
        return torch.where(overlaps.isnan(), torch.nan, torch.stack(missed).double())


def _overlaps(batch: Batch, maps: Tensor, settings: Sequence[LocalizationParams]) -> Tensor:
    """Return the IoU `[S, M, N]`, the largest over thresholds and targets; NaN where an image has no box."""
    each = box_masks(batch, maps)
    targets = {False: _Targets(*each), True: _Targets(*union(*each))}

    @cache
    def boxes(alpha: float, region: _Region, sign: Sign) -> Tensor:
        return _boxes(strength(maps, sign), alpha, region)

    found = []
    for setting in settings:
        own = torch.stack([boxes(alpha, setting.region, setting.sign) for alpha in setting.thresholds()])
        if setting.follows("box-edge"):
            own = torch.cat([torch.minimum(own[..., :2] + 1, own[..., 2:]), own[..., 2:]], dim=-1)
        found.append(targets[setting.follows("union-of-boxes")].overlaps(own).amax(dim=0))
    return torch.stack(found).to(maps.device)


class _Targets:
    """Regions of images that boxes are compared with, as sums over all pixels above and left of each corner."""

    def __init__(self, images: Tensor, masks: Tensor) -> None:
        self._images = images
        self._sums = torch.nn.functional.pad(masks.long(), (1, 0, 1, 0)).cumsum(dim=-1).cumsum(dim=-2)

    def overlaps(self, boxes: Tensor) -> Tensor:
        """Return the best IoU `[A, M, N]` of boxes `[A, M, N, 4]` with a region of their image; NaN without one."""
        y0, x0, y1, x1 = boxes[:, :, self._images].unbind(dim=-1)
        common = self._sum(y1, x1) - self._sum(y0, x1) - self._sum(y1, x0) + self._sum(y0, x0)
        either = (y1 - y0) * (x1 - x0) + self._sums[:, -1, -1] - common
        overlaps = common / either.clamp(min=1).double()
        best = torch.full(boxes.shape[:-1], torch.nan, dtype=torch.float64)
        for image in self._images.unique():
            best[..., image] = overlaps[..., self._images == image].amax(dim=-1)
        return best

    def _sum(self, y: Tensor, x: Tensor) -> Tensor:
        return self._sums[torch.arange(len(self._sums)), y, x]


def _boxes(maps: Tensor, alpha: float, region: _Region) -> Tensor:
    """Return the box (y0, x0, y1, x1) of each map, int64 `[M, N, 4]` on the CPU, ends exclusive; 0 where none is."""
    maps = maps.cpu().double()
    least = alpha * maps.amax(dim=(-2, -1), keepdim=True)
    kept = (maps > 0) & (maps >= least)
    if region == "largest":
        kept = torch.from_numpy(np.stack([_largest(one) for one in kept.flatten(0, 1).numpy()])).view_as(kept)
    (y0, y1), (x0, x1) = (_ends(kept.any(dim=axis)) for axis in (-1, -2))
    return torch.stack([y0, x0, y1, x1], dim=-1)


def _largest(kept: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Return the pixels of the largest region of pixels that touch, the first one of equals."""
    labels, _ = label(kept, structure=np.ones((3, 3)))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest: np.ndarray[tuple[int, int], np.dtype[np.bool_]] = kept & (labels == sizes.argmax())
    return largest


def _ends(kept: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first kept position along the last axis and the one after the last; 0 and 0 where none is kept."""
    first = kept.int().argmax(dim=-1)
    last = kept.shape[-1] - kept.flip(-1).int().argmax(dim=-1)
    return first, torch.where(kept.any(dim=-1), last, 0)
