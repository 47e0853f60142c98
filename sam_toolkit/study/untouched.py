"""A network that a component must leave as it found it: what was changed is told, and put right for the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from sam_toolkit.errors import ComponentError
from sam_toolkit.model import Model
from sam_toolkit.study.prepare import open_model
from sam_toolkit.study.spec import Study

Weights = Mapping[str, Tensor]

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Guard:
    """Holds components to leaving the networks of a study as they are.

    Weights of a module that was given are kept from the first time on; others can be loaded again.
    """

    def __init__(self, study: Study) -> None:
        """Guard the models of `study`."""
        self._study = study
        self._given: dict[int, Weights] = {}

    def over(self, index: int, model: Model, who: str) -> AbstractContextManager[None]:
        """Return `untouched` for the study's model of that index."""
        use = self._study.models[index]
        if isinstance(use.source, Model) and index not in self._given:
            self._given[index] = {name: value.clone() for name, value in model.module.state_dict().items()}

        def weights() -> Weights:
            return self._given.get(index) or open_model(use, self._study).module.state_dict()

        return untouched(model.module, weights, who)


@contextmanager
def untouched(module: nn.Module, weights: Callable[[], Weights], who: str) -> Iterator[None]:
    """Raise ComponentError after a block that changed the network, which is as before then.

    `weights` are asked for where some were written to: the state dictionary that the network had.
    """
    before = _Condition.of(module)
    try:
        yield
    finally:
        changed = before.changes(module)
        if changed:
            before.restore(module, weights)
    if changed:
        raise ComponentError(
            f"{who} changed the network: {', '.join(changed)}. Its results are not kept, and the network is as before. "
            "A component calls the network through Model, or works on a copy."
        )


@dataclass(frozen=True)
class _Condition:
    """Modes, hooks and own forwards of the parts of a network; how often each tensor was written to."""

    parts: tuple[tuple[nn.Module, bool, tuple[dict[int, Any], ...], Any], ...]
    tensors: tuple[tuple[Tensor, int, bool, Tensor | None], ...]

    @classmethod
    def of(cls, module: nn.Module) -> _Condition:
        parts = tuple(
            (part, part.training, tuple(dict(getattr(part, kind)) for kind in _HOOKS), vars(part).get("forward"))
            for part in module.modules()
        )
        tensors = chain(module.parameters(), module.buffers())
        return cls(parts, tuple((value, _writes(value), value.requires_grad, value.grad) for value in tensors))

    def changes(self, module: nn.Module) -> list[str]:
        """Return in words what is no longer as it was."""
        now = _Condition.of(module)
        same_parts = [a[0] is b[0] for a, b in zip(self.parts, now.parts, strict=False)]
        pairs = [(a, b) for a, b in zip(self.parts, now.parts, strict=False) if a[0] is b[0]]
        found = {
            "it has other parts": len(self.parts) != len(now.parts) or not all(same_parts),
            "it was left in another mode of training": any(a[1] != b[1] for a, b in pairs),
            "hooks were left on it": any(a[2] != b[2] for a, b in pairs),
            "a forward was replaced": any(a[3] is not b[3] for a, b in pairs),
            "weights were written to": _weights(self.tensors) != _weights(now.tensors),
            "requires_grad was set": [each[2] for each in self.tensors] != [each[2] for each in now.tensors],
            "gradients were left on its weights": any(
                a[3] is not b[3] for a, b in zip(self.tensors, now.tensors, strict=False)
            ),
        }
        return [words for words, holds in found.items() if holds]

    def restore(self, module: nn.Module, weights: Callable[[], Weights]) -> None:
        """Make the network as it was."""
        for part, training, hooks, forward in self.parts:
            part.training = training
            for kind, known in zip(_HOOKS, hooks, strict=True):
                getattr(part, kind).clear()
                getattr(part, kind).update(known)
            vars(part).pop("forward", None)
            if forward is not None:
                part.forward = forward
        for value, _, wanted, gradient in self.tensors:
            value.requires_grad_(wanted)
            value.grad = gradient
        if _weights(self.tensors) != _weights(_Condition.of(module).tensors):
            with torch.no_grad():
                module.load_state_dict(dict(weights()))


def _writes(value: Tensor) -> int:
    """Return how often a tensor was written to; PyTorch does not count for those made in inference mode."""
    return 0 if value.is_inference() else value._version


def _weights(tensors: tuple[tuple[Tensor, int, bool, Tensor | None], ...]) -> list[tuple[int, int]]:
    return [(id(value), version) for value, version, _, _ in tensors]
