"""L2 attacks by projected gradient descent (Madry et al., ICLR 2018): to train with, and to measure with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Network = Callable[[Tensor], Tensor]
"""Images in [0, 1] to logits."""


def attacked(
    network: Network, images: Tensor, loss: Network, steps: tuple[float, int], draws: torch.Generator
) -> Tensor:
    """Return images changed by at most `epsilon` in L2 so that `loss(logits)` is large, from a start drawn in the ball.

    `steps` is (epsilon, number of steps); a step is 2.5 epsilon / number long.
    """
    epsilon, number = steps
    start = torch.randn(images.shape, generator=draws)
    radius = torch.rand(len(images), 1, 1, 1, generator=draws)
    change = start * (epsilon * radius / _norm(start))
    for _ in range(number):
        moved = (images + change).clamp(0, 1).requires_grad_()
        (gradient,) = torch.autograd.grad(loss(network(moved)).sum(), moved)
        change = moved.detach() - images + gradient * (2.5 * epsilon / number / _norm(gradient))
        change = change * (epsilon / _norm(change)).clamp(max=1)
    return (images + change).clamp(0, 1)


def cross_entropy(labels: Tensor) -> Network:
    """Return the loss `[N]` of logits that training lowers."""
    return lambda logits: functional.cross_entropy(logits, labels, reduction="none")


def margin(labels: Tensor) -> Network:
    """Return by how much the best other class leads, `[N]`; unlike the cross-entropy, it never goes flat."""

    def loss(logits: Tensor) -> Tensor:
        own = functional.one_hot(labels, logits.shape[1]).bool()
        return logits.masked_fill(own, -torch.inf).amax(dim=1) - logits[own]

    return loss


def _norm(values: Tensor) -> Tensor:
    return values.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None, None]
