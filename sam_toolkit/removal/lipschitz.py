"""Lipschitz constants of networks: certified by their layers, given, or estimated at some inputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sam_toolkit.errors import ComponentError
from sam_toolkit.model import Model, Score
from sam_toolkit.removal.assumptions import Assumption
from sam_toolkit.removal.walk import Factor, Known, Point, follow

_SOFTMAX = math.sqrt(2) / 4
"""Largest slope of one class's softmax probability in the logits, for any number of classes."""


@dataclass(frozen=True)
class Lipschitz:
    """A Lipschitz constant of a score, in Euclidean length of the input, with what it rests on.

    Attributes:
        value: not negative.
        assumptions: at least one.
        certified: False for estimates, which may be too low.
        factors: what it is a product of, or on paths that join a sum or a length.
    """

    value: float
    assumptions: tuple[Assumption, ...]
    certified: bool = True
    factors: tuple[Factor, ...] = ()

    def __str__(self) -> str:
        kind = "" if self.certified else " (estimate, no certificate)"
        return f"Lipschitz constant {self.value:.6g}{kind}, if {'; '.join(self.assumptions)}"


def product_lipschitz(
    model: Model | nn.Module,
    shape: Sequence[int],
    target: int | None = None,
    *,
    score: Score = "logit",
    known: Known | None = None,
) -> Lipschitz:
    """Return a certified constant of a network at images of one size: the product over its layers.

    Affine layers in a row, such as a convolution and the batch norm after it, count as one map, whose spectral norm is
    that at this size, stride and padding. Where paths are added their constants add up. A `Model` is measured from
    its images in [0, 1], a bare module from its input.

    Args:
        model: in evaluation mode whatever it is in; it stays as it is.
        shape: of one image, `(C, H, W)`, or of a row of a table, `(F,)`.
        target: the class explained; None: all outputs as one vector.
        score: the logit, or the target's softmax probability.
        known: constants of further layers, by type or by name in the network.

    Raises:
        ComponentError: a layer without a known constant, named; a network that does not run on its own.
    """
    model = Model.of(model)
    module = deepcopy(model.module).to("cpu", torch.float64).eval().requires_grad_(requires_grad=False)
    scale = torch.as_tensor(model.scale()).to("cpu", torch.float64)
    start = Point(torch.zeros(1, *shape, dtype=torch.float64), 1.0, [])
    if model.preprocessing is not None:
        start = start.followed(lambda images: images / scale, "normalisation")
    logits = follow(module, start, known or {})
    classes = logits.value.shape[-1]
    if target is not None and not 0 <= target < classes:
        raise ComponentError(f"{model.name} has classes 0 to {classes - 1}; got target {target}.")
    if target is not None and score == "logit":
        logits = logits.followed(lambda outputs: outputs[:, target], f"class {target}")
    value = logits.constant * (1 if score == "logit" else _SOFTMAX)
    factors = tuple(logits.log)
    chance = () if all(factor.exact for factor in factors) else (Assumption.CHANCE,)
    return Lipschitz(value, (Assumption.LAYERS, *chance), factors=factors)


def given_lipschitz(value: float) -> Lipschitz:
    """Return a constant that the caller answers for; raises ComponentError where it is negative or not finite."""
    if not 0 <= value < math.inf:
        raise ComponentError(f"A Lipschitz constant is finite and not negative; got {value}.")
    return Lipschitz(float(value), (Assumption.GIVEN,))


def local_lipschitz(model: Model | nn.Module, images: Tensor, targets: Tensor, *, score: Score = "logit") -> Lipschitz:
    """Return the length of the longest gradient at images `[N, ...]`: an estimate from below, never a certificate.

    The images should hold imputed ones, for bounds need the constant there too.
    """
    model = Model.of(model)
    inputs, scale = model.inputs(images), model.scale()
    longest = 0.0
    for _, gradient in model.gradients(lambda start, stop: inputs[start:stop], targets, score):
        longest = max(longest, float((gradient / scale).flatten(1).double().norm(dim=1).max()))
    return Lipschitz(longest, (Assumption.ESTIMATE,), certified=False)


def pair_lipschitz(masks: Tensor, change: Tensor, delta: Tensor) -> Lipschitz:
    """Return the steepest slope between two inputs, `max_S |change of v_S| / |delta_S|`, over evaluated subsets.

    It needs no constant of the network, and bounds this pair only. It is infinite where a value changed though no
    player that it shows did, as it does with a fixed removal through rounding alone.

    Args:
        masks: bool `[M, d]`.
        change: of their values, `[M]`.
        delta: Euclidean change of each player, `[d]`.
    """
    lengths = (masks.double() @ delta.double() ** 2).sqrt()
    moved = change.double().abs()
    slopes = torch.where(moved == 0, 0.0, moved / lengths)
    return Lipschitz(float(slopes.max()), (Assumption.PAIR_SLOPE,))
