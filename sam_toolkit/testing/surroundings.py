"""What a component must leave as it found it: the network, its inputs, the global random states."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from sam_toolkit.testing.verdict import require
from sam_toolkit.types import digest, tensor_digest

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")

State = dict[str, tuple[object, str]]
"""By what is looked at: how it is, and what to do where a component changed it."""


@contextmanager
def left_as_found(who: str, module: nn.Module, inputs: Mapping[str, Tensor]) -> Iterator[None]:
    """Raise ConformanceError where the block changes the network, the inputs or a global random state."""
    before = _state(module, inputs)
    enabled = torch.is_grad_enabled()
    try:
        yield
        after = _state(module, inputs)
    finally:
        torch.set_grad_enabled(enabled)
    for what in {**before, **after}:
        (old, advice), (new, _) = (before.get(what, ("absent", "Take it away again.")), after.get(what, ("absent", "")))
        require(old == new, who, f"{what} was {old} and is {new} afterwards.", advice)


@contextmanager
def unusual_modes(module: nn.Module) -> Iterator[None]:
    """Put every second part of the network in training mode and freeze every second parameter for a while."""
    modes = [(part, part.training) for part in module.modules()]
    wanted = [(value, value.requires_grad) for value in module.parameters()]
    for position, (part, _) in enumerate(modes):
        part.training = position % 2 == 0
    for position, (value, _) in enumerate(wanted):
        value.requires_grad_(position % 2 == 0)
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
        for value, wants in wanted:
            value.requires_grad_(wants)


@contextmanager
def random_states_kept() -> Iterator[None]:
    """Give the global random states of torch, numpy and random back as they were."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])


def reseed(seed: int) -> None:
    """Seed the global random states, which no component may listen to."""
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def _state(module: nn.Module, inputs: Mapping[str, Tensor]) -> State:
    return {**_parts(module), **_tensors(module), **_inputs(inputs), **_random_states()}


def _parts(module: nn.Module) -> State:
    state: State = {
        "gradient mode": (
            torch.is_grad_enabled(),
            "Use `with torch.no_grad()` or `enable_grad()`, not the global switch.",
        )
    }
    for name, part in module.named_modules():
        where = f"{type(part).__name__} {name!r}" if name else "the whole network"
        state[f"training mode of {where}"] = (
            part.training,
            "Let Model call the network: it sets the mode and puts it back.",
        )
        hooks = sum(len(getattr(part, kind)) for kind in _HOOKS)
        state[f"number of hooks on {where}"] = (hooks, "Remove each handle in a `finally`.")
        state[f"own forward of {where}"] = (vars(part).get("forward"), "Put `forward` back in a `finally`.")
    return state


def _tensors(module: nn.Module) -> State:
    state: State = {}
    for name, value in chain(module.named_parameters(), module.named_buffers()):
        gradient = None if value.grad is None else _brief(value.grad)
        hooks = len(getattr(value, "_backward_hooks", None) or ())
        state[f"content of {name}"] = (_brief(value), "Let Model call the network, or work on a copy of it.")
        state[f"requires_grad of {name}"] = (
            value.requires_grad,
            "Use torch.autograd.grad, which needs no such change.",
        )
        state[f"gradient of {name}"] = (gradient, "Use torch.autograd.grad or Model.gradients instead of backward().")
        state[f"number of hooks on {name}"] = (hooks, "Remove each handle in a `finally`.")
    return state


def _inputs(inputs: Mapping[str, Tensor]) -> State:
    state: State = {}
    for name, value in inputs.items():
        state[f"content of {name}"] = (_brief(value), "Never write to what you are given: clone it first.")
        state[f"requires_grad of {name}"] = (value.requires_grad, "Set it on a detached copy.")
    return state


def _random_states() -> State:
    name, keys, *rest = np.random.get_state()
    states = {
        "torch": _brief(torch.get_rng_state()),
        "numpy": digest(str(name), np.asarray(keys).tobytes(), str(rest))[:8],
        "random": digest(repr(random.getstate()))[:8],
    }
    advice = "Draw from `rng` (rng.normal, rng.uniform, rng.generator), which is addressed by image and index."
    return {f"global random state of {owner}": (state, advice) for owner, state in states.items()}


def _brief(value: Tensor) -> str:
    return tensor_digest(value)[:8]
