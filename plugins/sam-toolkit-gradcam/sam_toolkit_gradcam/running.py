"""How pytorch-grad-cam is run on a Model: counted, evaluated, from draws of its own, and without a trace."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sam_toolkit import Model, Rows


class Network(nn.Module):
    """A model's network as pytorch-grad-cam calls it. Rows that can go backward are counted, copies without are not."""

    def __init__(self, model: Model, module: nn.Module) -> None:
        """Take the model and its network, or a copy of that."""
        super().__init__()
        self.network = module
        self._model = model

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits `[N, K]` of inputs `[N, C, H, W]`; raises ModelError where one is not finite."""
        logits: Tensor = self.network(self._model.clamped(inputs))
        if not torch.is_grad_enabled():
            return logits
        found = self._model.accepted(logits)
        if found.requires_grad:
            found.register_hook(self._counting(len(found)))
        return found

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Leave the gradients of the parameters alone: they are the user's."""

    def _counting(self, rows: int) -> Callable[[Tensor], None]:
        counted: list[bool] = []

        def count(gradient: Tensor) -> None:
            if not counted:
                before = self._model.counted
                self._model.counted = Rows(before.forward, before.backward + rows)
                counted.append(True)

        return count


def spatial(model: Model, inputs: Tensor) -> dict[str, int]:
    """Return the modules that give `[N, C, h, w]` larger than 1 x 1, in the order of their ends, and each one's C.

    The network is asked once, with one image, which is not counted as a row.
    """
    found: dict[str, int] = {}

    def note(name: str) -> Callable[..., None]:
        def see(module: nn.Module, arguments: Any, output: Any) -> None:
            found.pop(name, None)
            if isinstance(output, Tensor) and output.dim() == 4 and max(output.shape[2:]) > 1:
                found[name] = output.shape[1]

        return see

    handles = [part.register_forward_hook(note(name)) for name, part in model.module.named_modules() if name]
    try:
        model.attempt(lambda: model.module(model.clamped(inputs[:1])), 2)
    finally:
        for handle in handles:
            handle.remove()
    return found


@contextmanager
def without_a_trace(module: nn.Module, seed: int, learning: bool = False) -> Iterator[None]:
    """Keep activations out of each other's memory and what is printed to itself, and put all back.

    Parameters ask for gradients where `learning`; NumPy's global generator draws from `seed`.
    """
    in_place = [part for part in module.modules() if getattr(part, "inplace", False) is True]
    parameters = [value for value in module.parameters() if value.requires_grad != learning]
    numpy = np.random.get_state()
    for part in in_place:
        part.inplace = False  # type: ignore[assignment]
    for value in parameters:
        value.requires_grad_(learning)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), torch.enable_grad():
            np.random.seed(seed)
            yield
    finally:
        np.random.set_state(numpy)
        for value in parameters:
            value.requires_grad_(not learning)
        for part in in_place:
            part.inplace = True  # type: ignore[assignment]
