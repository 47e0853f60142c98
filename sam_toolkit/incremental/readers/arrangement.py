"""Readers of what arranges channels, and of what does nothing."""

from __future__ import annotations

import math
import operator
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional
from torchvision.ops import stochastic_depth

from sam_toolkit.incremental.operators.joining import Concatenation, Folding
from sam_toolkit.incremental.operators.pointwise import Alias
from sam_toolkit.incremental.site import Found, Reader, Site


def _cat(site: Site, tensors: Any, dim: int = 0) -> Found | None:
    if dim not in (1, -3) or not all(site.spatial(one) for one in tensors):
        return None
    return Found(Concatenation(), tuple(tensors))


def _alias(site: Site, *arguments: Any, **more: Any) -> Found | None:
    input = next(one for one in arguments if isinstance(one, fx.Node))
    return Found(Alias(lambda values: values), (input,)) if len(site.shapes.get(input, ())) >= 4 else None


def _dropout(site: Site, input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Found | None:
    return None if training else _alias(site, input)


def _stochastic_depth(site: Site, input: Any, p: float, mode: str, training: bool = True) -> Found | None:
    return None if training else _alias(site, input)


def _reshape(site: Site, input: Any, *_: Any) -> Found | None:
    before, after = (tuple(shape) for shape in (site.shapes.get(input, ()), site.shape))
    folds = min(len(before), len(after)) >= 4 and before[-2:] == after[-2:]
    fits = folds and math.prod(before[1:]) == math.prod(after[1:])
    return Found(Folding(after[1:-2]), (input,)) if fits else None


def _transpose(site: Site, input: Any, dim0: int, dim1: int) -> Found | None:
    dims = len(site.shapes.get(input, ()))
    axes = {dim0 % dims, dim1 % dims} if dims > 4 else {0}
    swaps_channels = axes <= set(range(1, dims - 2)) if dims > 4 else False
    return Found(Alias(lambda values: values.transpose(dim0, dim1)), (input,)) if swaps_channels else None


def _getitem(site: Site, input: Any, index: Any) -> Found | None:
    """Read a choice of channels, and one part of a tuple of such choices (`chunk`, `split`)."""
    if isinstance(input, fx.Node) and input.target in ("chunk", "split", torch.chunk, torch.split):
        return _part(site, input, index)
    everything = slice(None)
    if not site.spatial(input) or not isinstance(index, tuple) or len(index) != 2 or index[0] != everything:
        return None
    channels = index[1]
    if not isinstance(channels, slice) or any(isinstance(one, fx.Node) for one in (channels.start, channels.stop)):
        return None
    return Found(Alias(lambda values: values[:, channels]), (input,))


def _part(site: Site, parts: fx.Node, index: int) -> Found | None:
    source, length, *dim = (*parts.args, *parts.kwargs.values())
    if not site.spatial(source) or dim != [1] or not isinstance(length, int) or not isinstance(source, fx.Node):
        return None
    channels = site.shapes[source][1]
    step = -(-channels // length) if parts.target in ("chunk", torch.chunk) else length
    start = (index if index >= 0 else index + -(-channels // step)) * step
    return Found(Alias(lambda values: values[:, start : start + step]), (source,))


def _unsqueeze(site: Site, input: Any, dim: int) -> Found | None:
    """Read `x[:, c]` with its channel's axis put back."""
    if dim != 1 or not isinstance(input, fx.Node) or input.target is not operator.getitem:
        return None
    source, index = input.args
    if not site.spatial(source) or not isinstance(source, fx.Node) or not isinstance(index, tuple) or len(index) != 2:
        return None
    channel = index[1]
    if index[0] != slice(None) or not isinstance(channel, int):
        return None
    channel %= site.shapes[source][1]
    return Found(Alias(lambda values: values[:, channel : channel + 1]), (source,))


_NOTHING = (nn.Identity, nn.Dropout, nn.Dropout2d, nn.AlphaDropout, nn.FeatureAlphaDropout)

MODULES: dict[type[nn.Module], Reader] = dict.fromkeys(_NOTHING, _alias)
FUNCTIONS: dict[Any, Reader] = {
    functional.dropout: _dropout,
    stochastic_depth: _stochastic_depth,
    torch.cat: _cat,
    torch.concat: _cat,
    torch.reshape: _reshape,
    torch.transpose: _transpose,
    torch.unsqueeze: _unsqueeze,
    operator.getitem: _getitem,
}
METHODS: dict[Any, Reader] = {
    "view": _reshape,
    "reshape": _reshape,
    "transpose": _transpose,
    "unsqueeze": _unsqueeze,
    "contiguous": _alias,
    "clone": _alias,
}
