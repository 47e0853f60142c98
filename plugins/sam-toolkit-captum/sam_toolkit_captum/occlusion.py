"""Captum's Occlusion with the same arguments and maps, computed by sam_toolkit's operators."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import captum.attr
import torch
from captum.log import log_usage
from torch import Tensor, nn

from sam_toolkit import IncrementalOcclusion, Model, ModelError, ops

_SIGNATURE = inspect.signature(captum.attr.Occlusion.attribute)


class Occlusion(captum.attr.Occlusion):  # type: ignore[misc]
    """A drop-in for `captum.attr.Occlusion`: the same arguments, and maps that are equal up to rounding.

    Of a network that torch.fx can trace, only what a window changes is computed again. This is so for images
    `[N, C, H, W]` of a module in evaluation mode that gives `[N, K]`, with windows over all channels; all else is left
    to captum. As many rows go at once as memory lets: `perturbations_per_eval` asks for more, never for fewer than 16.
    """

    @log_usage()  # type: ignore[untyped-decorator] # brings the `__wrapped__` that captum's NoiseTunnel calls
    def attribute(self, *args: Any, **kwargs: Any) -> Any:
        """Return what `captum.attr.Occlusion.attribute` does; see there."""
        asked = _SIGNATURE.bind(self, *args, **kwargs)
        asked.apply_defaults()
        found = _quick(self.forward_func, asked.arguments)
        return super().attribute(*args, **kwargs) if found is None else found

    attribute.__signature__ = _SIGNATURE


def _quick(network: Any, asked: Mapping[str, Any]) -> Any:
    """Return the attributions, or None where captum is to compute them, or to refuse what is asked."""
    inputs, shapes, strides = asked["inputs"], asked["sliding_window_shapes"], asked["strides"]
    if isinstance(inputs, tuple):
        one = all(len(each) == 1 for each in (inputs, shapes) if isinstance(each, tuple))
        inner = {"inputs": inputs[0], "sliding_window_shapes": shapes[0]}
        inner["strides"] = strides[0] if isinstance(strides, tuple) else strides
        found = _quick(network, {**asked, **inner}) if one else None
        return None if found is None else (found,)
    if not _is_plain(network, asked):
        return None
    windows = _windows(inputs.shape[1:], shapes, strides)
    targets = _targets(asked["target"], len(inputs), inputs.device)
    if windows is None or targets is None:
        return None
    model = Model(network, chunk=max(16, asked["perturbations_per_eval"] * len(inputs)))
    try:
        return _attributions(model, inputs.detach(), windows, targets, asked["baselines"])
    except ModelError:
        return None


def _attributions(
    model: Model, inputs: Tensor, windows: Sequence[Sequence[int]], targets: Tensor, baselines: Any
) -> Tensor:
    """Return the mean drop of the targets' scores over the windows over each pixel, `[N, C, H, W]`."""
    fill = baselines or 0.0 if not isinstance(baselines, Tensor) else baselines.expand_as(inputs)
    hide = IncrementalOcclusion(model)
    whole = model.logits(inputs)
    drops = []
    for number, image in enumerate(inputs):
        hidden = hide(image, windows, fill[number] if isinstance(fill, Tensor) else float(fill))  # type: ignore[arg-type]
        drops.append(whole[number, targets[number]] - hidden[:, targets[number]])
    boxes = torch.tensor([(number, *window) for number in range(len(inputs)) for window in windows])
    size = (len(inputs), inputs.shape[2], inputs.shape[3])
    return ops.occlusion_map(torch.cat(drops), boxes, size)[:, None].expand(inputs.shape).contiguous()


def _is_plain(network: Any, asked: Mapping[str, Any]) -> bool:
    inputs, baselines = asked["inputs"], asked["baselines"]
    shown = asked["show_progress"] or asked["additional_forward_args"] is not None
    evaluating = isinstance(network, nn.Module) and not any(part.training for part in network.modules())
    images = isinstance(inputs, Tensor) and inputs.dim() == 4 and inputs.is_floating_point() and inputs.numel() > 0
    fills = baselines is None or isinstance(baselines, int | float | Tensor)
    return evaluating and images and fills and not shown


def _windows(shape: Sequence[int], sides: Any, strides: Any) -> list[tuple[int, int, int, int]] | None:
    """Return captum's windows of images of `shape` (C, H, W), of which the last may be cut off; None for others."""
    steps = (1, 1, 1) if strides is None else (strides,) * 3 if isinstance(strides, int) else tuple(strides)
    if len(steps) != 3 or len(sides) != 3 or not all(isinstance(value, int) for value in (*sides, *steps)):
        return None
    fits = all(0 < side <= length for side, length in zip(sides, shape, strict=True)) and sides[0] == shape[0]
    moves = zip(sides[1:], shape[1:], steps[1:], strict=True)
    if not fits or any(side < length and not 0 < step <= side for side, length, step in moves):
        return None
    (_, height, width), (_, down, across) = shape, sides
    tops = range(0, (ceil((height - down) / steps[1]) + 1) * steps[1], steps[1])
    lefts = range(0, (ceil((width - across) / steps[2]) + 1) * steps[2], steps[2])
    return [(y, x, min(y + down, height), min(x + across, width)) for y in tops for x in lefts]


def _targets(target: Any, count: int, device: torch.device) -> Tensor | None:
    """Return one class an image, `[N]`, or None where the target is no such thing."""
    plain = isinstance(target, int | Tensor) or (
        isinstance(target, list) and all(isinstance(one, int) for one in target)
    )
    if not plain:
        return None
    found = torch.as_tensor(target, device=device).reshape(-1)
    return found.expand(count) if len(found) in (1, count) and not found.is_floating_point() else None
