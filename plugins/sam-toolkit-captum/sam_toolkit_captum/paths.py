"""Captum's attributions whose settings share network rows here: integrated gradients, and noisy copies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import captum.attr
import torch
from captum.attr._utils.approximation_methods import approximation_parameters
from torch import Tensor

from sam_toolkit import Batch, MapFacts, Model, Rng, field
from sam_toolkit_captum.base import CaptumMethod, Shape
from sam_toolkit_captum.gradients import (
    CaptumDeconvolution,
    CaptumDeepLift,
    CaptumGuidedBackprop,
    CaptumInputXGradient,
    CaptumSaliency,
)


class CaptumIntegratedGradients(CaptumMethod, of=captum.attr.IntegratedGradients):
    """Gradients along the straight path from a baseline, by captum's rules of quadrature.

    A gradient is taken once at each point of the path, whichever rules and numbers of steps ask for it.
    """

    name = "captum-integrated-gradients"
    reference = "Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017, arXiv:1703.01365"
    gradients = True

    def shares(self, params: Any) -> frozenset[str]:
        """Return what the gradients on the path serve."""
        return frozenset({"channels", "n_steps", "method", "multiply_by_inputs"})

    def rows(self, settings: Sequence[Any], shape: Shape) -> int:
        """Return the number of different points."""
        return len(_points(settings))

    def attributions(self, model: Model, batch: Batch, settings: Sequence[Any], rng: Rng) -> dict[Any, Tensor]:
        """Return the attributions `[N, C, H, W]` of each setting, from one pass over all points."""
        inputs, points = model.inputs(batch.images), list(_points(settings))
        difference = inputs - settings[0].baselines
        weights = [_weights(setting) for setting in settings]
        sums = torch.zeros(len(settings), *inputs.shape, dtype=torch.float64, device=inputs.device)

        def build(start: int, stop: int) -> Tensor:
            rows = [divmod(row, len(points)) for row in range(start, stop)]
            alphas = torch.tensor([points[point] for _, point in rows]).to(inputs)
            inside: Tensor = alphas[:, None, None, None] * difference[[image for image, _ in rows]]
            return inside + float(settings[0].baselines)

        targets = batch.targets.repeat_interleave(len(points))
        for first, gradients in model.gradients(build, targets, settings[0].score):
            for row, gradient in enumerate(gradients.double(), first):
                image, point = divmod(row, len(points))
                for number, weighed in enumerate(weights):
                    sums[number, image] += weighed.get(points[point], 0.0) * gradient
        scaled = [
            one * difference if setting.multiply_by_inputs else one for setting, one in zip(settings, sums, strict=True)
        ]
        return dict(zip(settings, scaled, strict=True))


def _points(settings: Sequence[Any]) -> dict[float, None]:
    return {alpha: None for setting in settings for alpha in _weights(setting)}


def _weights(setting: Any) -> dict[float, float]:
    """Return the weight of each point in [0, 1] of the path that the setting's rule looks at."""
    steps, points = approximation_parameters(setting.method)
    return dict(zip(map(float, points(setting.n_steps)), map(float, steps(setting.n_steps)), strict=True))


_INNER: dict[str, type[CaptumMethod]] = {
    "saliency": CaptumSaliency,
    "input-x-gradient": CaptumInputXGradient,
    "guided-backprop": CaptumGuidedBackprop,
    "deconvolution": CaptumDeconvolution,
    "deep-lift": CaptumDeepLift,
}


class CaptumNoiseTunnel(CaptumMethod, of=captum.attr.NoiseTunnel):
    """Mean, mean square or variance of an attribution over noisy copies of the input.

    Draw i of an image is the same for every number of copies, and whatever else is in the batch.
    """

    name = "captum-noise-tunnel"
    reference = "Smilkov et al., SmoothGrad, 2017, arXiv:1706.03825; Adebayo et al., Sanity Checks, NeurIPS 2018"
    gradients = True
    drawn = True

    @classmethod
    def read(cls) -> list[Callable[..., Any]]:
        """Return the callables of the tunnel, and of the attribution that one setting of is left open."""
        return [captum.attr.NoiseTunnel.attribute, captum.attr.Saliency.attribute]

    @classmethod
    def declared(cls) -> dict[str, tuple[Any, Any]]:
        """Return the choice of what is averaged."""
        choices = Literal["saliency", "input-x-gradient", "guided-backprop", "deconvolution", "deep-lift"]
        return {"attribution": (choices, field("saliency", help="what is averaged; abs matters to saliency alone"))}

    def shares(self, params: Any) -> frozenset[str]:
        """Return what needs no copies of its own: fewer of them are the first of more."""
        return frozenset({"channels", "nt_samples", "nt_type"})

    def facts(self, params: Any) -> MapFacts:
        """Return that means are signed, unless they are of magnitudes."""
        magnitudes = params.attribution == "saliency" and params.abs
        signed = params.nt_type == "smoothgrad" and not magnitudes and not params.channels.startswith("abs-")
        return MapFacts(signed=signed)

    def rows(self, settings: Sequence[Any], shape: Shape) -> int:
        """Return the cost of the largest number of copies."""
        return _INNER[settings[0].attribution].passes * max(int(setting.nt_samples) for setting in settings)

    def attributions(self, model: Model, batch: Batch, settings: Sequence[Any], rng: Rng) -> dict[Any, Tensor]:
        """Return the attributions `[N, C, H, W]` of each setting, from as many copies as the largest asks for."""
        setting, inputs, copies = settings[0], model.inputs(batch.images), max(each.nt_samples for each in settings)
        inner = _INNER[setting.attribution]()
        chosen = inner.setting(abs=setting.abs) if setting.attribution == "saliency" else inner.params
        stream, at_once = rng.child(setting.seed), max(1, model.chunk // inner.passes)
        powers: dict[int, list[Tensor]] = {each.nt_samples: [] for each in settings}
        for image, image_id in enumerate(batch.ids):
            total = torch.zeros(2, *inputs.shape[1:], dtype=torch.float64, device=inputs.device)
            for start in range(0, copies, at_once):
                draws = range(start, min(start + at_once, copies))
                noise = torch.stack([stream.normal(image_id, draw, inputs.shape[1:]) for draw in draws]).to(inputs)
                targets = batch.targets[image].to(inputs.device).expand(len(draws))
                found = inner.attribute(model, chosen, inputs[image] + setting.stdevs * noise, targets).double()
                for drawn, values in enumerate(found, start + 1):
                    total = total + torch.stack([values, values.square()])
                    if drawn in powers:
                        powers[drawn].append(total / drawn)
        return {each: _statistic(each.nt_type, torch.stack(powers[each.nt_samples], dim=1)) for each in settings}


def _statistic(name: str, moments: Tensor) -> Tensor:
    """Return mean, mean square or variance, `[N, C, H, W]`, of first and second moments `[2, N, C, H, W]`."""
    mean, square = moments.unbind()
    if name == "smoothgrad":
        return mean
    return square if name == "smoothgrad_sq" else (square - mean.square()).clamp(min=0)
