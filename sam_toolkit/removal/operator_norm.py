"""The spectral norm of an affine map that is given as a function, such as a convolution at one input size."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Affine = Callable[[Tensor], Tensor]

FAILURE = 1e-9
"""Chance at most that a norm from a random start is too low."""
_STEPS = 100
_MOST_ENTRIES = 1 << 22
_MOST_SINGULAR = 1024


def affine_norm(function: Affine, shape: torch.Size) -> tuple[float, bool]:
    """Return the largest stretch of an affine map of `shape` in float64, and whether it is exact.

    Small maps are written out and decomposed. For others 100 steps of Lanczos' iteration, which speeds the power
    iteration up, come from below; what they lack at most, but for a chance of 1e-9, is added (Kuczynski and
    Wozniakowski, SIAM J. Matrix Anal. Appl. 1992): about 1 % of the norm.
    """
    origin = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        output = function(origin.clone())  # which the function may write to
    inputs, outputs = origin.numel(), output.numel()
    offset = output.detach()

    def back(cotangent: Tensor) -> Tensor:
        (pulled,) = torch.autograd.grad(output, origin, cotangent.reshape(output.shape), retain_graph=True)
        return pulled.flatten()

    def forth(vector: Tensor) -> Tensor:
        return (function(vector.reshape(shape).clone()) - offset).flatten()

    few = min(inputs, outputs) <= _MOST_SINGULAR and inputs * outputs <= _MOST_ENTRIES
    with torch.no_grad():
        if few:
            one, size = (back, outputs) if outputs <= inputs else (forth, inputs)
            return _largest_singular(one, size), True
        if outputs <= inputs:
            return _lanczos(lambda vector: forth(back(vector)), outputs), False
        return _lanczos(lambda vector: back(forth(vector)), inputs), False


def _largest_singular(one: Affine, size: int) -> float:
    rows = torch.stack([one(unit) for unit in torch.eye(size, dtype=torch.float64)])
    return float(torch.linalg.matrix_norm(rows, ord=2))


def _lanczos(square: Affine, size: int) -> float:
    """Return an upper bound on the root of the largest eigenvalue of a positive semidefinite map."""
    # The start is uniform on the sphere, as the theorem has it; a fixed seed gives the same certificate each time.
    vector = torch.randn(size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    vector /= vector.norm()
    before, off = torch.zeros_like(vector), 0.0
    diagonal: list[float] = []
    beside: list[float] = []
    for _ in range(min(_STEPS, size)):
        image = square(vector) - off * before
        diagonal.append(float(image @ vector))
        image -= diagonal[-1] * vector
        off = float(image.norm())
        if off <= 1e-14 * abs(diagonal[0]):  # the space that the start spans is used up
            break
        beside.append(off)
        before, vector = vector, image / off
    ritz = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
    for index, value in enumerate(beside[: len(diagonal) - 1]):
        ritz[index, index + 1] = ritz[index + 1, index] = value
    found = float(torch.linalg.eigvalsh(ritz)[-1].clamp(min=0))
    lack = (math.log(1.648 * math.sqrt(size) / FAILURE) / (2 * _STEPS - 1)) ** 2
    return math.sqrt(found / (1 - lack))
