"""Which operator a node of a graph is."""

from __future__ import annotations

from torch import nn

from sam_toolkit.incremental.readers import arrangement, layers, pointwise
from sam_toolkit.incremental.site import Found, Site

_READERS = (layers, pointwise, arrangement)
_MODULES = {kind: reader for readers in _READERS for kind, reader in readers.MODULES.items()}
_FUNCTIONS = {function: reader for readers in _READERS for function, reader in readers.FUNCTIONS.items()}
_METHODS = {name: reader for readers in _READERS for name, reader in readers.METHODS.items()}


def recognised(site: Site, module: nn.Module | None) -> Found | None:
    """Return the operator of a node, which calls `module` where it calls one; None: it runs on whole activations."""
    node = site.node
    if module is not None:
        reader, arguments = _MODULES.get(type(module)), (module, *node.args)
    else:
        reader, arguments = (_FUNCTIONS if node.op == "call_function" else _METHODS).get(node.target), node.args
    try:
        return reader(site, *arguments, **node.kwargs) if reader else None
    except TypeError:
        return None
