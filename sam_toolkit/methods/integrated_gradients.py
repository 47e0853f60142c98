"""Integrated Gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sam_toolkit.component import MapFacts, Method
from sam_toolkit.fills import Fill, Filling
from sam_toolkit.methods.channels import Channels, reduce_channels
from sam_toolkit.model import Model, Score
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch, Params, field

Rule = Literal["trapezoid", "left", "midpoint", "right", "gauss-legendre"]
"""How the integral is approximated: where on the path gradients are taken, and how they are weighted."""


class _Baseline(NamedTuple):
    """Where a path starts: a filling, which of its draws, and of how many where their number makes them others."""

    filling: Filling
    draw: int = 0
    of: int | None = None


class _Point(NamedTuple):
    """Where a gradient is taken: how far along the path; at 1, the image, all paths meet and `baseline` is None."""

    baseline: _Baseline | None
    fraction: float


class IntegratedGradientsParams(Params):
    """Hyperparameters of Integrated Gradients."""

    steps: int = field(50, ge=1, help="steps of the path; the trapezoid takes one gradient more")
    rule: Rule = field("trapezoid", help="how the integral along the path is approximated")
    baseline: Fill = field("black", help="where paths start: mean (0 at inputs), black, blur, noise, a level, a colour")
    trials: int = field(10, ge=1, help="draws of the baseline that are averaged over, where it is noise")
    blur_sigma: float = field(10.0, gt=0, help="standard deviation of the blur in pixels, where baseline is blur")
    seed: int = field(0, ge=0, help="seed of the noise, where baseline is noise")
    draws: Literal["nested", "independent"] = field(
        "nested", help="whether the draws of fewer trials are the first of more, or others"
    )
    score: Score = field("probability", help="what is differentiated: the target's logit or its probability")
    channels: Channels = field("mean", help="how colour channels become one number, signed or absolute")

    def baselines(self) -> list[_Baseline]:
        """Return the baselines that are averaged over."""
        filling = Filling.of(self.baseline, self.blur_sigma, self.seed)
        if self.baseline != "noise":
            return [_Baseline(filling)]
        number = self.trials if self.draws == "independent" else None
        return [_Baseline(filling, trial, number) for trial in range(self.trials)]

    def quadrature(self) -> list[tuple[float, float]]:
        """Return the fractions of the path at which gradients are taken, each with its weight."""
        return _quadrature(self.rule, self.steps)

    def points(self) -> list[tuple[_Point, float, _Baseline]]:
        """Return where gradients are taken, with the weight of each and the baseline of its path."""
        baselines = self.baselines()
        return [
            (_Point(None if fraction == 1 else baseline, fraction), weight / len(baselines), baseline)
            for baseline in baselines
            for fraction, weight in self.quadrature()
        ]


class IntegratedGradients(Method[IntegratedGradientsParams]):
    """The gradient's mean along the straight path from a baseline to the image, times their difference.

    With `channels: sum` a map adds up to the score of the image less that of the baseline, up to the rule's error. The
    product is the same at normalised inputs and at images in [0, 1].
    """

    name = "integrated-gradients"
    reference = "Sundararajan, Taly and Yan, Axiomatic Attribution for Deep Networks, ICML 2017, arXiv:1703.01365"
    gradients = True
    tolerance = 0.05
    """A gradient jumps where a unit switches, and of many points on a path some lie within rounding of a switch."""

    def shares(self, params: IntegratedGradientsParams) -> frozenset[str]:
        """Return every field but the score: settings share the points that their paths have in common."""
        return frozenset(IntegratedGradientsParams.model_fields) - {"score"}

    def reruns(self, params: IntegratedGradientsParams, count: int) -> list[IntegratedGradientsParams]:
        """Return settings with other seeds where the baseline is noise; else nothing is drawn."""
        return super().reruns(params, count) if params.baseline == "noise" else []

    def facts(self, params: IntegratedGradientsParams) -> MapFacts:
        """Return that maps are signed unless channels are reduced by absolute value."""
        return MapFacts(signed=not params.channels.startswith("abs-"))

    def differentiable(self, params: IntegratedGradientsParams) -> bool:
        """Return whether the baseline leaves no gradient out: blurs have none."""
        return params.baseline != "blur"

    def rows(self, settings: Sequence[IntegratedGradientsParams], shape: tuple[int, int, int]) -> int:
        """Return the number of different points on all paths."""
        return len({point for setting in settings for point, _, _ in setting.points()})

    def maps(self, model: Model, batch: Batch, settings: Sequence[IntegratedGradientsParams], rng: Rng) -> Tensor:
        """Return maps `[S, N, H, W]`, from one pass over the points of all settings."""
        distinct = list(dict.fromkeys(setting.varied(channels="mean") for setting in settings))
        sums = _Paths(model, batch, distinct, rng).attributions()
        places = [distinct.index(setting.varied(channels="mean")) for setting in settings]
        return torch.stack([
            reduce_channels(sums[place], setting.channels) for place, setting in zip(places, settings, strict=True)
        ])  # fmt: skip


class _Paths:
    """The paths of several settings, from their baselines to the images."""

    def __init__(self, model: Model, batch: Batch, settings: Sequence[IntegratedGradientsParams], rng: Rng) -> None:
        self._model, self._targets = model, batch.targets
        self._inputs = model.inputs(batch.images)
        self._differences: dict[_Baseline, Tensor] = {}
        self._uses: dict[_Point, list[tuple[int, float, _Baseline]]] = {}
        for index, setting in enumerate(settings):
            for point, weight, baseline in setting.points():
                self._uses.setdefault(point, []).append((index, weight, baseline))
            for baseline in setting.baselines():
                if baseline not in self._differences:
                    self._differences[baseline] = self._inputs - _start(baseline, model, batch, rng)
        self._settings, self._score = len(settings), settings[0].score

    def attributions(self) -> Tensor:
        """Return `[S, N, C, H, W]` in float64, summed row after row so that the sizes of chunks leave no trace."""
        sums = [[torch.zeros_like(one, dtype=torch.float64) for one in self._inputs] for _ in range(self._settings)]
        for image, point, gradient in self._gradients():
            for setting, weight, baseline in self._uses[point]:
                difference = self._differences[baseline][image].double()
                sums[setting][image] = sums[setting][image].addcmul(difference, gradient, value=weight)
        return torch.stack([torch.stack(own) for own in sums])

    def _gradients(self) -> Iterator[tuple[int, _Point, Tensor]]:
        """Yield (image, point, gradient `[C, H, W]`), image by image.

        Where a path starts, at one colour, windows of a max-pooling layer tie, and rounding decides where the gradient
        goes: a row by itself always rounds the same way.
        """
        alone = [point for point in self._uses if point.fraction == 0]
        along = [point for point in self._uses if point.fraction > 0]
        for image in range(len(self._inputs)):
            yield from (found for point in alone for found in self._pass(image, [point]))
            yield from self._pass(image, along)

    def _pass(self, image: int, points: Sequence[_Point]) -> Iterator[tuple[int, _Point, Tensor]]:
        def build(start: int, stop: int) -> Tensor:
            return torch.stack([self._at(point, image) for point in points[start:stop]])

        for first, gradients in self._model.gradients(build, self._targets[image].expand(len(points)), self._score):
            for place, gradient in enumerate(gradients.double(), first):
                yield image, points[place], gradient

    def _at(self, point: _Point, image: int) -> Tensor:
        whole = self._inputs[image]
        if point.baseline is None:
            return whole
        return whole - (1 - point.fraction) * self._differences[point.baseline][image]


def _start(baseline: _Baseline, model: Model, batch: Batch, rng: Rng) -> Tensor:
    """Return the baseline as network input, `[C, 1, 1]` or `[N, C, H, W]`."""
    stream = rng if baseline.of is None else rng.child(baseline.of)
    fill = torch.as_tensor(baseline.filling.inputs(model, batch, stream, baseline.draw), device=model.device)
    return fill[:, None, None] if fill.dim() == 1 else fill


@cache
def _quadrature(rule: Rule, steps: int) -> list[tuple[float, float]]:
    if rule == "gauss-legendre":
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        return list(zip(((1 + nodes) / 2).tolist(), (weights / 2).tolist(), strict=True))
    if rule == "trapezoid":
        ends = {0, steps}
        return [(k / steps, (0.5 if k in ends else 1.0) / steps) for k in range(steps + 1)]
    offset = {"left": 0.0, "midpoint": 0.5, "right": 1.0}[rule]
    return [((k + offset) / steps, 1 / steps) for k in range(steps)]
