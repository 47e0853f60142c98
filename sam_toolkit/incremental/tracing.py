"""From a module to a graph of its operators, in evaluation mode, with the same weights, none writing in place."""

from __future__ import annotations

import inspect
import operator
from copy import deepcopy
from itertools import chain
from typing import Any

import torch
from torch import Tensor, fx, nn

_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
_AUGMENTED = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}
_WRITES = (operator.setitem, operator.ifloordiv, operator.imod, operator.ipow, operator.imatmul)


class NotTraced(Exception):
    """Why a module has no graph that windows can go through."""


def trace(module: nn.Module) -> fx.GraphModule:
    """Return the graph of a copy of `module` in evaluation mode; raises NotTraced with the reason there is none.

    Weights are shared with `module`, which stays as it is; nothing in the graph writes to its inputs.
    """
    _refuse_hooks(module)
    try:
        copied = deepcopy(module, memo={id(tensor): tensor for tensor in _tensors(module)}).eval()
        traced = fx.symbolic_trace(copied, _further_arguments(copied))
    except NotTraced:
        raise
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise NotTraced(f"torch.fx cannot trace {type(module).__name__}: {first}") from error
    _write_nowhere(traced)
    traced.graph.eliminate_dead_code()
    return traced


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*chain(module.parameters(), module.buffers())]


def _refuse_hooks(module: nn.Module) -> None:
    for name, part in module.named_modules():
        if any(getattr(part, kind) for kind in _HOOKS):
            raise NotTraced(f"{type(part).__name__} {name!r} has forward hooks, which must see whole activations")


def _further_arguments(module: nn.Module) -> dict[str, Any]:
    """Return the defaults of every argument but the images."""
    _, *further = inspect.signature(module.forward).parameters.values()
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    further = [parameter for parameter in further if parameter.kind not in kinds]
    needed = [parameter.name for parameter in further if parameter.default is inspect.Parameter.empty]
    if needed:
        raise NotTraced(f"{type(module).__name__}.forward needs more than images: {', '.join(needed)}")
    return {parameter.name: parameter.default for parameter in further}


def _write_nowhere(traced: fx.GraphModule) -> None:
    """Replace what writes to its first argument by what returns a new value, for all who look at it afterwards."""
    order = {node: position for position, node in enumerate(traced.graph.nodes)}
    for node in traced.graph.nodes:
        if not _made_pure(node, traced):
            continue
        written = node.args[0]
        _refuse_views(node, written, order)
        for user in list(written.users):
            if order[user] > order[node]:
                user.replace_input_with(written, node)


def _made_pure(node: fx.Node, traced: fx.GraphModule) -> bool:
    """Return whether the node wrote to its first argument; it no longer does. Raises NotTraced where that cannot be."""
    match node.op:
        case "call_module":
            part = traced.get_submodule(str(node.target))
            return _without_inplace(part)
        case "call_method":
            return _renamed(node, torch.Tensor)
        case "call_function" if node.target in _AUGMENTED:
            node.target = _AUGMENTED[node.target]
            return isinstance(node.args[0], fx.Node)
        case "call_function" if node.target in _WRITES or "out" in node.kwargs:
            raise NotTraced(f"{node.name} writes into an activation")
        case "call_function":
            return _function_without_inplace(node)
    return False


def _without_inplace(part: nn.Module) -> bool:
    wrote = bool(getattr(part, "inplace", False))
    if wrote:
        part.inplace = False  # type: ignore[assignment]
    return wrote


def _function_without_inplace(node: fx.Node) -> bool:
    name = getattr(node.target, "__name__", "")
    if name.endswith("_") and not name.endswith("__"):
        return _renamed(node, torch if hasattr(torch, name) else nn.functional)
    try:
        bound = inspect.signature(node.target).bind(*node.args, **node.kwargs)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    if not bound.arguments.get("inplace"):
        return False
    bound.arguments["inplace"] = False
    node.args, node.kwargs = bound.args, bound.kwargs
    return True


def _renamed(node: fx.Node, home: Any) -> bool:
    """Give a node whose name ends in an underscore the function without it."""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    if not name.endswith("_") or name.endswith("__"):
        return False
    pure = getattr(home, name[:-1], None)
    if pure is None:
        raise NotTraced(f"{node.name} writes into an activation")
    node.target = name[:-1] if node.op == "call_method" else pure
    return True


def _refuse_views(node: fx.Node, written: fx.Node, order: dict[fx.Node, int]) -> None:
    """Raise NotTraced where what is written may be a view of something that is looked at afterwards."""
    if written.op == "call_module":
        return
    for source in written.all_input_nodes:
        late = [user for user in source.users if order[user] > order[node]]
        if late and (written.op == "call_method" or written.target in (operator.getitem, torch.flatten)):
            raise NotTraced(f"{node.name} writes into what may be a view of {source.name}")
