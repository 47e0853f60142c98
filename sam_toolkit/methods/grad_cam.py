"""Grad-CAM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from sam_toolkit.component import MapFacts, Method
from sam_toolkit.errors import ComponentError, near
from sam_toolkit.model import Model, Score
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch, Params, field


class GradCamParams(Params):
    """Hyperparameters of Grad-CAM."""

    layer: str = field("auto", help="name of a module that returns [N, C, h, w]; auto: the last with more than 1 x 1")
    positive: bool = field(True, help="whether the negative part is cut off, as in the paper")
    upsampling: Literal["bilinear", "nearest"] = field("bilinear", help="how the layer's grid becomes the map")
    score: Score = field("logit", help="what is differentiated: the target's logit or its probability")


class GradCam(Method[GradCamParams]):
    """A layer's activations, weighted by the mean gradient of the target's score over each channel, and summed."""

    name = "grad-cam"
    reference = "Selvaraju et al., Grad-CAM, ICCV 2017, arXiv:1610.02391"
    gradients = True

    def shares(self, params: GradCamParams) -> frozenset[str]:
        """Return every field but the score: one pass serves all layers."""
        return frozenset(GradCamParams.model_fields) - {"score"}

    def facts(self, params: GradCamParams) -> MapFacts:
        """Return that maps are signed unless the negative part is cut off."""
        return MapFacts(signed=not params.positive)

    def rows(self, settings: Sequence[GradCamParams], shape: tuple[int, int, int]) -> int:
        """Return 1."""
        return 1

    def maps(self, model: Model, batch: Batch, settings: Sequence[GradCamParams], rng: Rng) -> Tensor:
        """Return maps `[S, N, H, W]`; raises ComponentError where the network has no such layer."""
        inputs = model.inputs(batch.images)
        modules = dict(model.module.named_modules())
        layers = list(dict.fromkeys(setting.layer for setting in settings))
        for layer in layers:
            _check_name(layer, modules, model)
        parts: dict[str, list[Tensor]] = {layer: [] for layer in layers}
        with _watched(modules) as seen:
            for _ in model.gradients(lambda start, stop: inputs[start:stop], batch.targets, settings[0].score):
                for layer in layers:
                    parts[layer].append(_weighted(layer, seen, model))
                seen.clear()
        sums = {layer: torch.cat(found) for layer, found in parts.items()}
        size = batch.images.shape[-2:]
        return torch.stack([_map(setting, sums[setting.layer], size) for setting in settings])


_Seen = dict[str, tuple[Tensor, list[Tensor]]]
"""By name of a module, in the order of their ends: its activations and the gradient at them."""


@contextmanager
def _watched(modules: dict[str, nn.Module]) -> Iterator[_Seen]:
    """Note activations and gradients of all modules that return `[N, C, h, w]`, until the context ends."""
    seen: _Seen = {}
    handles = [
        module.register_forward_hook(_noting(name, seen)) for name, module in modules.items() if name
    ]  # fmt: skip
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _noting(name: str, seen: _Seen) -> Any:
    def note(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 4 and output.requires_grad:
            gradients: list[Tensor] = []
            seen.pop(name, None)  # a module that runs again counts where it ran last
            seen[name] = (output.detach().clone(), gradients)
            output.register_hook(gradients.append)

    return note


def _check_name(layer: str, modules: dict[str, nn.Module], model: Model) -> None:
    if layer != "auto" and layer not in modules:
        raise ComponentError(
            f"GradCam: layer must be auto or the name of a module of the network; model {model.name!r} has no "
            f"{layer!r}.{near(layer, modules)} `named_modules()` lists them."
        )


def _weighted(layer: str, seen: _Seen, model: Model) -> Tensor:
    """Return the weighted sums of a layer's activations `[n, h, w]`."""
    spatial = [name for name, (values, found) in seen.items() if found and max(values.shape[2:]) > 1]
    name = (spatial[-1] if spatial else "") if layer == "auto" else layer
    if name not in seen or not seen[name][1]:
        raise ComponentError(
            f"GradCam: layer must return activations [N, C, h, w] that the target's score depends on; "
            f"{layer!r} of model {model.name!r} does not. Such layers: {', '.join(spatial[-8:]) or 'none'}."
        )
    values, (gradient, *_) = seen[name]
    return (values * gradient.mean(dim=(2, 3), keepdim=True)).sum(dim=1)


def _map(setting: GradCamParams, sums: Tensor, size: torch.Size) -> Tensor:
    values = sums.clamp(min=0) if setting.positive else sums
    corners = {"align_corners": False} if setting.upsampling == "bilinear" else {}
    return interpolate(values[:, None], size=size, mode=setting.upsampling, **corners)[:, 0].float()
