"""Rows that go through a network chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from sam_toolkit.lanes import Lanes, in_turn
from sam_toolkit.recompute import pulled, recomputed

T = TypeVar("T")

Build = Callable[[int, int], Tensor]
"""Makes the network inputs `[stop - start, C, H, W]` of rows start to stop, when they are needed."""

Evaluate = Callable[[int, Tensor], Tensor]
"""Takes the first row's number and inputs `[n, C, H, W]`, and returns something `[n, ...]`."""

_AHEAD = 16
"""Chunks that are begun before the first is read, where they go side by side."""


class Sender(Protocol):
    """What `Model` knows that is asked for here."""

    chunk: int
    start: Lanes

    @property
    def device(self) -> torch.device:
        """Return where inputs go."""
        ...

    def attempt(self, evaluate: Callable[[], T], rows: int) -> T | None:
        """Return what `evaluate` makes of `rows` rows; None where memory ran out, after which `chunk` is smaller."""
        ...


def chunks(sender: Sender, build: Build, rows: int, evaluate: Evaluate) -> Iterator[Tensor]:
    """Yield what `evaluate` makes of the rows, in order, without gradients unless inputs require them."""
    first, work = 0, partial(_built, sender, build, evaluate, torch.is_grad_enabled())
    while first < rows:
        stop = min(first + sender.chunk * (1 if sender.start is in_turn else _AHEAD), rows)
        parts = [range(at, min(at + sender.chunk, rows)) for at in range(first, stop, sender.chunk)]
        for part, begun in zip(parts, sender.start(work, parts), strict=True):
            result = sender.attempt(begun, len(part))
            if result is None:
                break
            yield result
            first = part.stop


def _built(sender: Sender, build: Build, evaluate: Evaluate, graph: bool, rows: range) -> Tensor:
    def pull(inputs: Tensor, gradients: Tensor) -> Tensor:
        def back(first: int, part: Tensor) -> Tensor:
            return pulled(part, partial(evaluate, rows.start + first), gradients[first : first + len(part)])

        return torch.cat(list(chunks(sender, lambda first, stop: inputs[first:stop], len(inputs), back)))

    with torch.set_grad_enabled(graph):
        inputs = build(rows.start, rows.stop).to(sender.device)
        if inputs.requires_grad:
            return recomputed(inputs, partial(evaluate, rows.start), pull)
    return evaluate(rows.start, inputs).detach()
