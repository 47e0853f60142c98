"""Attacks on attributions: images that look the same, are classified the same, and are explained otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from sam_toolkit.errors import ComponentError
from sam_toolkit.model import Rows
from sam_toolkit.perturbations.iterates import Direction, Walkers
from sam_toolkit.perturbations.objectives import Loss, Objective, emptied, filled, moved
from sam_toolkit.perturbations.walks import Walk, WalkParams
from sam_toolkit.softplus import softplus_twin
from sam_toolkit.types import Batch, field

Region = tuple[int, int, int, int]
"""(y0, x0, y1, x1) in pixels of the network input, ends exclusive."""


class AttributionAttackParams(WalkParams):
    """Hyperparameters of attacks on attributions."""

    conventions: ClassVar[Mapping[str, Mapping[str, Any]]] = {"lens-2024": {"beta": 1.0}}

    objective: Objective = field(
        "top-k",
        help="top-k: empty the clean map's k best pixels; mass-centre: move its centre away; target: fill a box",
    )
    k: int = field(1000, ge=1, help="pixels that top-k empties, at most a map's")
    w: int = field(0, ge=0, help="rows and columns around each of them that top-k empties too (LENS)")
    box: Region | None = field(None, help="(y0, x0, y1, x1) that target fills; none: the boxes of the image's objects")
    beta: float = field(10.0, gt=0, help="sharpness of the softplus in place of each ReLU; LENS: 1")


class AttributionAttack(Walk[AttributionAttackParams]):
    """Steps that change the map most within a budget; the iterate with the least similar map and clean label is kept.

    Steps follow the gradient of a number of the map, scaled to sum to its number of pixels, through a twin of the
    network with softplus in place of ReLU, whose second derivative is zero. Labels and similarities are the network's.
    """

    name = "attribution-attack"

    def step_rows(self, map_rows: int) -> int:
        """Return twice a map's: there, and back again."""
        return 2 * map_rows

    def direction(self, walkers: Walkers, setting: AttributionAttackParams) -> Direction:
        """Return the gradient of the objective; raises ComponentError where the setting does not fit the images."""
        method = setting.of.make()
        if not method.differentiable(setting.of.params):
            raise ComponentError(
                f"attribution-attack needs a method whose maps have a gradient at the image; {setting.of} has none. "
                "Attack gradient, input-x-gradient, integrated-gradients or smoothgrad, and compare maps of any method."
            )
        twin, loss = softplus_twin(walkers.model, setting.beta), _loss(walkers, setting)

        def ascent(repeat: int, step: int, images: Tensor) -> Tensor:
            with torch.enable_grad():
                images = images.detach().requires_grad_()
                (gradient,) = torch.autograd.grad(loss(walkers.maps(twin, images)).sum(), images)
            walkers.model.counted, twin.counted = walkers.model.counted + twin.counted, Rows()
            return gradient

        return ascent


def _loss(walkers: Walkers, setting: AttributionAttackParams) -> Loss:
    if setting.objective == "top-k":
        return emptied(walkers.clean, setting.k, setting.w, released="windows" in walkers.deviations)
    if setting.objective == "mass-centre":
        return moved(walkers.clean, "truncated-centre" in walkers.deviations)
    return filled(_mask(walkers.batch, setting.box).to(walkers.clean))


def _mask(batch: Batch, box: Region | None) -> Tensor:
    """Return where the box, or the boxes of each image, are: bool `[N, H, W]`; ComponentError where that is nowhere."""
    mask = torch.zeros((len(batch), *batch.images.shape[-2:]), dtype=torch.bool)
    rows = [] if batch.boxes is None else batch.boxes.tolist()
    for image, y0, x0, y1, x1 in rows if box is None else [(image, *box) for image in range(len(batch))]:
        mask[image, max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = True
    empty = (~mask.flatten(1).any(1)).nonzero().flatten().tolist()
    if empty:
        what = "the image has no annotated box" if box is None else f"{box} is outside"
        raise ComponentError(
            f"attribution-attack with objective=target fills a box of each image; of image {empty[0]} of "
            f"{len(batch)} {what}. Give `box: [y0, x0, y1, x1]` in pixels, or images with boxes."
        )
    return mask
