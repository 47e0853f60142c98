"""Readers of what works on each pixel by itself."""

from __future__ import annotations

import operator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sam_toolkit.incremental.operators.pointwise import Combination, Pointwise
from sam_toolkit.incremental.site import Found, Reader, Site


def _pointwise(function: Any) -> Reader:
    def read(site: Site, input: Any, *rest: Any, **more: Any) -> Found | None:
        if not site.spatial(input):
            return None
        options = {key: site.value(value) for key, value in more.items()}
        further = [site.value(value) for value in rest]
        if further:
            return Found(Pointwise(lambda values: function(values, *further, **options)), (input,))
        return Found(Pointwise(partial(function, **options) if options else function), (input,))

    return read


def _pointwise_module(site: Site, module: nn.Module, input: Any) -> Found | None:
    return Found(Pointwise(module), (input,)) if site.spatial(input) else None


def _arithmetic(function: Any) -> Reader:
    """Return the reader of an operator with two operands: two activations, or one and a constant for all pixels."""

    def read(site: Site, first: Any, second: Any) -> Found | None:
        if site.spatial(first) and site.spatial(second):
            same = tuple(site.shapes[first]) == tuple(site.shapes[second])
            return Found(Combination(function), (first, second)) if same else None
        if site.spatial(first):
            constant = site.value(second)
            return Found(Pointwise(lambda values: function(values, constant)), (first,)) if _even(constant) else None
        constant = site.value(first)
        fits = site.spatial(second) and _even(constant)
        return Found(Pointwise(lambda values: function(constant, values)), (second,)) if fits else None

    return read


def _even(constant: Any) -> bool:
    """Return whether a constant is the same for all pixels, and for all rows."""
    if not isinstance(constant, Tensor):
        return isinstance(constant, int | float)
    shape = (1,) * (4 - constant.dim()) + tuple(constant.shape)
    return len(shape) == 4 and shape[2:] == (1, 1) and shape[0] == 1


_ACTIVATIONS = (
    functional.relu, torch.relu, functional.relu6, functional.hardtanh, functional.silu, functional.gelu,
    functional.hardswish, functional.hardsigmoid, functional.leaky_relu, functional.elu, functional.selu,
    functional.celu, functional.mish, functional.softplus, functional.softsign, functional.logsigmoid, torch.sigmoid,
    torch.tanh, functional.sigmoid, functional.tanh, torch.clamp, torch.neg, torch.abs, torch.exp, torch.sqrt,
    torch.square, torch.rsqrt, torch.pow, operator.neg, operator.pow,
)  # fmt: skip
_ACTIVATION_MODULES = (
    nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.SiLU, nn.GELU, nn.Hardswish, nn.Hardsigmoid, nn.LeakyReLU, nn.ELU, nn.SELU,
    nn.CELU, nn.Mish, nn.Softplus, nn.Softsign, nn.LogSigmoid, nn.Sigmoid, nn.Tanh, nn.PReLU, nn.Threshold,
    nn.Hardshrink, nn.Softshrink, nn.Tanhshrink,
)  # fmt: skip
_ADD, _SUBTRACT, _MULTIPLY, _DIVIDE = map(_arithmetic, (operator.add, operator.sub, operator.mul, operator.truediv))

MODULES: dict[type[nn.Module], Reader] = dict.fromkeys(_ACTIVATION_MODULES, _pointwise_module)
FUNCTIONS: dict[Any, Reader] = {
    **{function: _pointwise(function) for function in _ACTIVATIONS},
    torch.add: _ADD,
    operator.add: _ADD,
    torch.sub: _SUBTRACT,
    operator.sub: _SUBTRACT,
    torch.mul: _MULTIPLY,
    operator.mul: _MULTIPLY,
    torch.div: _DIVIDE,
    operator.truediv: _DIVIDE,
}
METHODS: dict[Any, Reader] = {
    **{name: _pointwise(getattr(torch, name)) for name in ("relu", "sigmoid", "tanh", "clamp", "neg", "abs", "exp")},
    "add": _ADD,
    "sub": _SUBTRACT,
    "mul": _MULTIPLY,
    "div": _DIVIDE,
}
