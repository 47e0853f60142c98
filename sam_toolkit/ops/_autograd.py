"""Shapes and gradients of the compiled operators, for PyTorch's tracing and autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sam_toolkit.ops import reference


def register() -> None:
    """Attach fake kernels and gradients to the operators, whose schemas must be loaded."""
    register_fake, register_autograd = torch.library.register_fake, torch.library.register_autograd
    register_fake("sam_toolkit::occlude", _occlude_fake)
    register_fake("sam_toolkit::occlusion_map", _occlusion_map_fake)
    register_fake("sam_toolkit::ssim", _ssim_fake)
    register_autograd("sam_toolkit::occlude", _occlude_backward, setup_context=_save_occlude)
    for op in (reference.occlusion_map, reference.ssim):
        register_autograd(f"sam_toolkit::{op.__name__}", _backward_of(op), setup_context=_save_inputs)


def _occlude_fake(images: Tensor, boxes: Tensor, fill: Tensor) -> Tensor:
    return images.new_empty((boxes.shape[0], *images.shape[1:]))


def _occlusion_map_fake(scores: Tensor, boxes: Tensor, images: int, height: int, width: int) -> Tensor:
    return scores.new_empty((images, height, width))


def _ssim_fake(maps: Tensor, pairs: Tensor, taps: list[float], data_range: float, sample_covariance: bool) -> Tensor:
    return maps.new_empty((maps.shape[0], pairs.shape[0]))


def _save_occlude(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
    images, boxes, fill = inputs
    ctx.save_for_backward(boxes)
    ctx.images, ctx.fill = images.shape, fill.shape


def _occlude_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
    """Send what is outside the boxes to the images and what is inside to the fill; occluding parts them."""
    (boxes,) = ctx.saved_tensors
    each_row = torch.cat([torch.arange(len(boxes))[:, None], boxes[:, 1:]], dim=1)
    outside = torch.ops.sam_toolkit.occlude(gradient, each_row, gradient.new_zeros(gradient.shape[1]))
    source = boxes[:, 0].to(gradient.device)
    to_images = to_fill = None
    if ctx.needs_input_grad[0]:
        to_images = outside.new_zeros(ctx.images).index_add(0, source, outside)
    if ctx.needs_input_grad[2]:
        inside = gradient - outside
        to_fill = inside.new_zeros(ctx.images).index_add(0, source, inside)
        to_fill = to_fill.sum((0, 2, 3)) if len(ctx.fill) == 1 else to_fill
    return to_images, None, to_fill


def _save_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    values, rows, *ctx.rest = inputs
    ctx.save_for_backward(values, rows)


def _backward_of(op: Callable[..., Tensor]) -> Callable[..., tuple[Tensor | None, ...]]:
    """Return the backward function of an operator that is differentiated through its reference `op`."""

    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        values, rows = ctx.saved_tensors
        pull_back = torch.func.vjp(lambda varied: op(varied, rows, *ctx.rest), values)[1]
        return pull_back(gradient)[0], *(None for _ in (rows, *ctx.rest))

    return backward
