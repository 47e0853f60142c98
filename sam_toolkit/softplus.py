"""A network's twin without kinks, whose second derivatives are not zero everywhere."""

from __future__ import annotations

from copy import copy
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from sam_toolkit.activations import Rectified, Rectifier
from sam_toolkit.errors import ModelError
from sam_toolkit.model import Model, Rows

_KINKED = (nn.Threshold, nn.RReLU, nn.Hardshrink, nn.Softshrink)
"""Activations that are linear in pieces and have no softplus form here; so has a Hardtanh that starts below 0."""


def softplus_twin(model: Model, beta: float = 1.0) -> Model:
    """Return a model of the same weights, shared and not copied, in which every rectifier is smooth.

    ReLU becomes softplus(x) = log(1 + exp(beta x)) / beta, ReLU6 softplus(x) - softplus(x - 6), leaky and parametric
    ReLU of slope s become s x + (1 - s) softplus(x), whether called as modules or as functions. All else stays: smooth
    activations need no change, and maxima still choose. The twin counts rows of its own.

    Raises:
        ModelError: a part of the network cannot be smoothed; the message names it.
    """
    for name, part in model.module.named_modules():
        why = _refusal(part)
        if why:
            raise ModelError(
                f"Model {model.name!r} has no softplus twin: {name or 'the network'} ({type(part).__name__}) {why}."
            )
    twin = copy(model)
    twin.module, twin.counted, twin.watch = _Smooth(model.module, beta), Rows(), None
    return twin


def _refusal(part: nn.Module) -> str:
    if isinstance(part, torch.jit.ScriptModule):
        return "is scripted, so that its activations cannot be seen; give the module that it was made from"
    if hasattr(part, "_orig_mod"):
        return "is compiled, so that its activations cannot be seen; give the module that it was made from"
    if isinstance(part, _KINKED) or (isinstance(part, nn.Hardtanh) and part.min_val != 0):
        return "is linear in pieces and none of ReLU, ReLU6, leaky and parametric ReLU; use one of those"
    return ""


class _Smooth(nn.Module):
    """A network that runs with softplus in place of its rectifiers."""

    def __init__(self, network: nn.Module, beta: float) -> None:
        super().__init__()
        self.network, self.beta = network, beta
        self.training = network.training

    def forward(self, inputs: Tensor) -> Tensor:
        with Rectified(partial(_softened, beta=self.beta)):
            logits: Tensor = self.network(inputs)
        return logits


def _softened(rectifier: Rectifier, beta: float) -> Tensor:
    values = rectifier.values.clone() if rectifier.in_place else rectifier.values
    smooth = softplus(values, beta)
    if rectifier.ceiling < float("inf"):
        smooth = smooth - softplus(values - rectifier.ceiling, beta)
    if not rectifier.cuts:
        smooth = rectifier.slope * values + (1 - rectifier.slope) * smooth
    return rectifier.values.copy_(smooth) if rectifier.in_place else smooth
