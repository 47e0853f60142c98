"""What a network is asked for: scores of rows, their count, precision, evaluation mode, and when memory runs out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from sam_toolkit.errors import ModelError

Score = Literal["logit", "probability"]
"""What of the target class is explained: its pre-softmax logit or its softmax probability."""

Precision = Literal["float32", "bfloat16"]
"""What operators compute with: the network's own type, or bfloat16 where PyTorch's autocast has it."""


@dataclass(frozen=True)
class Rows:
    """Network rows counted so far: all, and those that went backward too."""

    forward: int = 0
    backward: int = 0

    def __add__(self, other: Rows) -> Rows:
        """Return the rows of both."""
        return Rows(self.forward + other.forward, self.backward + other.backward)


def pick(logits: Tensor, targets: Tensor, score: Score) -> Tensor:
    """Return the score `[N]` of each row's target, from logits `[N, K]`."""
    values = logits if score == "logit" else logits.softmax(dim=1)
    return values.gather(1, targets[:, None])[:, 0]


def require_finite(values: Tensor, of: str) -> None:
    """Raise ModelError where a value `of` a network is not finite."""
    bad = int((~torch.isfinite(values)).sum())
    if bad:
        raise ModelError(
            f"{of} gave {bad} of {values.numel()} values that are not finite (NaN or infinite). Check its weights and "
            "the preprocessing of its inputs."
        )


def computing(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return where operators compute with `precision`."""
    return nullcontext() if precision == "float32" else torch.autocast(device.type, torch.bfloat16)


def out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error says that memory ran out."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put the network in evaluation mode and leave every part in the mode it was in."""
    training = [part for part in module.modules() if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True
