"""The gradient of a map at the image: what attacks on attributions go by."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sam_toolkit.component import Method
from sam_toolkit.rng import Rng
from sam_toolkit.testing.examples import small_batch, small_model
from sam_toolkit.testing.verdict import in_words, require

_STEP = 3e-5
"""How far images are moved; maps are float32, so that less would be lost in rounding."""
_SLACK = 0.02


def check_gradient(method: type[Method[Any]], setting: Any) -> None:
    """Raise ConformanceError where a method that is `differentiable` gives maps with a wrong gradient, or none.

    The derivative of a weighted sum of the map along a random direction is held against finite differences, on a smooth
    network in float64.
    """
    component = method(setting)
    if not component.differentiable(setting):
        return
    who = f"{method.__name__}.maps{in_words(setting)}"
    rng = Rng(0, ("sam_toolkit.testing", "derivatives"))
    model, batch = small_model(smooth=True), small_batch().select([0])
    images = batch.images.double()
    direction, weights = (rng.normal(name, 0, images.shape).double() for name in ("direction", "weights"))

    def functional(moved: Tensor) -> Tensor:
        maps = component.maps(model, batch.with_images(moved), [setting], Rng(0).child(method.name))
        return (maps[0].double() * weights[:, 0]).sum()

    traced = images.clone().requires_grad_()
    value = functional(traced)
    advice = "Keep to operations of PyTorch that have gradients, without detach, or return False from differentiable()."
    require(value.requires_grad, who, "is differentiable by its own account, but has no gradient.", advice)
    (gradient,) = torch.autograd.grad(value, traced)
    found = float((gradient * direction).sum())
    expected = float(functional(images + _STEP * direction) - functional(images - _STEP * direction)) / (2 * _STEP)
    largest = float(torch.linalg.vector_norm(gradient))
    told = f"its derivative along a direction is {found:.5g}, by finite differences {expected:.5g}."
    require(abs(found - expected) <= _SLACK * max(abs(expected), largest), who, told, advice)
