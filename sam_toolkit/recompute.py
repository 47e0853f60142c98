"""Results with a graph to their inputs that holds no activations: they are computed again on the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Evaluate = Callable[[Tensor], Tensor]
Pull = Callable[[Tensor, Tensor], Tensor]
"""From inputs and the gradient at their results to the gradient at the inputs."""


def recomputed(inputs: Tensor, evaluate: Evaluate, pull: Pull) -> Tensor:
    """Return `evaluate(inputs)`, computed without a graph; its gradient at `inputs` is what `pull` returns."""
    result: Tensor = _Recomputed.apply(inputs, evaluate, pull)
    return result


def pulled(inputs: Tensor, evaluate: Evaluate, gradient: Tensor) -> Tensor:
    """Return the gradient at `inputs` from that at `evaluate(inputs)`, which may take gradients itself."""
    with torch.enable_grad():
        inputs = inputs.detach().requires_grad_()
        (found,) = torch.autograd.grad(evaluate(inputs), inputs, gradient, allow_unused=True)
    return torch.zeros_like(inputs) if found is None else found


class _Recomputed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, evaluate: Evaluate, pull: Pull) -> Tensor:
        ctx.pull = pull
        ctx.save_for_backward(inputs)
        return evaluate(inputs.detach())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (inputs,) = ctx.saved_tensors
        return ctx.pull(inputs, gradients[0]), None, None
