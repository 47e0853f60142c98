"""Programs are kept as long as their module lives and its weights stay, for one size of images each."""

from __future__ import annotations

from itertools import chain
from weakref import WeakKeyDictionary

import torch
from torch import nn

from sam_toolkit.incremental.program import Program, Shape
from sam_toolkit.incremental.tracing import NotTraced, trace

_State = tuple[object, ...]
_kept: WeakKeyDictionary[nn.Module, tuple[_State, Program | NotTraced]] = WeakKeyDictionary()


def program_of(module: nn.Module, shape: Shape) -> Program:
    """Return the program of `module` for images `shape` (C, H, W); raises NotTraced with the reason there is none."""
    state = (tuple(shape), _state(module))
    known = _kept.get(module)
    if known is None or known[0] != state:
        known = state, _made(module, shape)
        _kept[module] = known
    if isinstance(known[1], NotTraced):
        raise known[1]
    return known[1]


def _made(module: nn.Module, shape: Shape) -> Program | NotTraced:
    try:
        with torch.no_grad():
            return Program(trace(module), shape)
    except NotTraced as reason:
        return reason.with_traceback(None)


def _state(module: nn.Module) -> _State:
    """Return what changes with the weights, the hooks or the parts of a module."""
    tensors = ((id(one), one.data_ptr(), _version(one), one.device) for one in chain(*_of(module)))
    parts = ((id(part), len(part._forward_hooks), len(part._forward_pre_hooks)) for part in module.modules())
    return (*tensors, *parts)


def _of(module: nn.Module) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    return list(module.parameters()), list(module.buffers())


def _version(tensor: torch.Tensor) -> object:
    """Return a count of writes; tensors of inference mode have none, and none is equal to another."""
    return object() if tensor.is_inference() else tensor._version
