"""How a captum attribution is run on a Model: counted, evaluated, from draws of its own, and without a trace."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sam_toolkit import ComponentError, Model, Rng, Rows


class Network(nn.Module):
    """A model's network as captum calls and hooks it; rows are counted, forward and backward."""

    def __init__(self, model: Model, score: str = "logit") -> None:
        """Take the model and what of its target is explained: "logit" or "probability"."""
        super().__init__()
        self.network = model.module
        self._model = model
        self._score = score

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the scores `[N, K]` of inputs `[N, C, H, W]`; raises ModelError where one is not finite."""
        inputs = inputs.view_as(inputs)
        logits = self._model.accepted(self.network(self._model.clamped(inputs)))
        self._count_once(inputs, logits)
        return logits if self._score == "logit" else logits.softmax(dim=1)

    def _count_once(self, *ends: Tensor) -> None:
        """Count rows as backward once a gradient arrives at the logits or, of a layer within, at the inputs."""
        arrived: list[bool] = []

        def count(gradient: Tensor) -> None:
            if not arrived:
                counted = self._model.counted
                self._model.counted = Rows(counted.forward, counted.backward + len(gradient))
                arrived.append(True)

        for end in ends:
            if end.requires_grad:
                end.register_hook(count)


def attributed(model: Model, who: str, evaluate: Callable[[int], Any], rows: int = 1) -> Any:
    """Return `evaluate(rows at once)`, with fewer rows as often as memory runs out.

    Raises ComponentError with captum's own words where it refuses the network or its inputs.
    """
    while True:
        try:
            with _out_of_place(model.module), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # captum warns that it sets hooks, and of what it does by design
                found = model.attempt(lambda: _with_gradients(evaluate, model.chunk), min(rows, model.chunk))
        except (AssertionError, AttributeError, RuntimeError, TypeError, ValueError) as error:
            if isinstance(error, ComponentError):
                raise
            raise ComponentError(f"{who}: captum cannot explain model {model.name!r}: {error}") from error
        if found is not None:
            return found


def _with_gradients(evaluate: Callable[[int], Any], rows: int) -> Any:
    with torch.enable_grad():
        return evaluate(rows)


@contextmanager
def _out_of_place(module: nn.Module) -> Iterator[None]:
    """Have activations write to new tensors for a while: captum's hooks cannot bear them to write in place."""
    changed = [part for part in module.modules() if getattr(part, "inplace", False) is True]
    for part in changed:
        part.inplace = False  # type: ignore[assignment]
    try:
        yield
    finally:
        for part in changed:
            part.inplace = True  # type: ignore[assignment]


@contextmanager
def drawing(rng: Rng, image_id: str, device: torch.device) -> Iterator[None]:
    """Let Python's, NumPy's and PyTorch's global generators draw what belongs to an image; then put them back."""
    seed = int(torch.randint(2**31, (), generator=rng.generator(image_id)))
    devices = [device] if device.type == "cuda" else []
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
