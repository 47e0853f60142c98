"""Shapes and gradients of the compiled operators, for PyTorch's tracing and autograd."""

from __future__ import annotations

from typing import Any, NoReturn

import torch
from torch import Tensor

from sam_toolkit.errors import OpError
from sam_toolkit.ops import reference

_ONCE = (
    "ops.ssim can be differentiated once: its gradient is a kernel without a gradient of its own; "
    "set SAM_TOOLKIT_OPS=reference to differentiate it again."
)


def register() -> None:
    """Attach fake kernels and gradients to the operators, whose schemas must be loaded."""
    for fake in _FAKES:
        torch.library.register_fake(f"sam_toolkit::{fake.__name__.strip('_').removesuffix('_fake')}", fake)
    gradient = torch.library.register_autograd
    gradient("sam_toolkit::occlude", _occlude_backward, setup_context=_save_occlude)
    gradient("sam_toolkit::assemble", _assemble_backward, setup_context=_save_assemble)
    gradient("sam_toolkit::occlusion_map", _occlusion_map_backward, setup_context=_save_inputs)
    gradient("sam_toolkit::ssim", _ssim_backward, setup_context=_save_inputs)
    gradient("sam_toolkit::ssim_map", _ssim_backward, setup_context=_save_inputs)
    gradient("sam_toolkit::ssim_backward", _no_second_gradient)


def _occlude_fake(images: Tensor, boxes: Tensor, fill: Tensor) -> Tensor:
    return _like(images, (boxes.shape[0], *images.shape[1:]))


def _assemble_fake(
    base: Tensor, boxes: Tensor, patches: Tensor, windows: Tensor, size: list[int], pad: float
) -> Tensor:
    return _like(base, (boxes.shape[0], base.shape[1], *size))


def _like(images: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return an empty tensor in the layout of `images`: channels last where they are so and not contiguous too."""
    last = not images.is_contiguous() and images.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if last else torch.contiguous_format
    return torch.empty(shape, dtype=images.dtype, device=images.device, memory_format=layout)


def _occlusion_map_fake(scores: Tensor, boxes: Tensor, images: int, height: int, width: int) -> Tensor:
    return scores.new_empty((images, height, width))


def _ssim_fake(maps: Tensor, pairs: Tensor, taps: list[float], data_range: float, sample_covariance: bool) -> Tensor:
    return maps.new_empty((maps.shape[0], pairs.shape[0]), dtype=reference.result_type(maps))


def _ssim_map_fake(
    maps: Tensor, pairs: Tensor, taps: list[float], data_range: float, sample_covariance: bool
) -> Tensor:
    height, width = (side - len(taps) + 1 for side in maps.shape[2:])
    return maps.new_empty((maps.shape[0], pairs.shape[0], height, width), dtype=reference.result_type(maps))


def _ssim_backward_fake(
    gradient: Tensor, maps: Tensor, pairs: Tensor, taps: list[float], data_range: float, sample_covariance: bool
) -> Tensor:
    return maps.new_empty(maps.shape)


def _descending_order_fake(maps: Tensor) -> Tensor:
    return maps.new_empty(maps.shape, dtype=torch.int32)


def _average_ranks_fake(maps: Tensor) -> Tensor:
    return maps.new_empty(maps.shape, dtype=torch.float64)


def _kendall_fake(maps: Tensor, pairs: Tensor) -> Tensor:
    return maps.new_empty((maps.shape[0], pairs.shape[0]), dtype=torch.float64)


def _diverse_picks_fake(order: Tensor, height: int, width: int, window: int, count: int) -> Tensor:
    return order.new_empty((order.shape[0], count))


def _reach_fake(picks: Tensor, height: int, width: int, window: int) -> Tensor:
    return picks.new_empty((picks.shape[0], height * width))


def _overlaps_fake(reach: Tensor, picks: Tensor, pairs: Tensor, counts: list[int]) -> Tensor:
    return reach.new_empty((reach.shape[0], pairs.shape[0], len(counts)), dtype=torch.int64)


_FAKES = (
    _occlude_fake, _assemble_fake, _occlusion_map_fake, _ssim_fake, _ssim_map_fake, _ssim_backward_fake,
    _descending_order_fake, _average_ranks_fake, _kendall_fake, _diverse_picks_fake, _reach_fake, _overlaps_fake,
)  # fmt: skip


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


def _save_assemble(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    base, boxes, patches, windows, *ctx.rest = inputs
    ctx.save_for_backward(base, boxes, patches, windows)


def _assemble_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    """Differentiate the reference, which is linear in the base and the patches."""
    base, boxes, patches, windows = ctx.saved_tensors
    pull_back = torch.func.vjp(lambda b, p: reference.assemble(b, boxes, p, windows, *ctx.rest), base, patches)[1]
    to_base, to_patches = pull_back(gradient)
    return to_base, None, to_patches, None, None, None


def _save_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    values, rows, *ctx.rest = inputs
    ctx.save_for_backward(values, rows)


def _occlusion_map_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    """Differentiate the reference, which is linear in the scores."""
    scores, boxes = ctx.saved_tensors
    pull_back = torch.func.vjp(lambda varied: reference.occlusion_map(varied, boxes, *ctx.rest), scores)[1]
    return pull_back(gradient)[0], None, None, None, None


def _ssim_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    maps, pairs = ctx.saved_tensors
    to_maps = torch.ops.sam_toolkit.ssim_backward(gradient.contiguous(), maps, pairs, *ctx.rest)
    return to_maps, None, None, None, None


def _no_second_gradient(ctx: Any, gradient: Tensor) -> NoReturn:
    raise OpError(_ONCE)
