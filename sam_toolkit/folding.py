"""A network's graph with batch norms folded into the convolutions before them, and paddings merged into those after."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

_CONVOLUTIONS = (functional.conv2d, torch.conv2d)
_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")


@dataclass(frozen=True)
class Folded:
    """A network that computes what another does, but for rounding; the other's parts serve it where they can.

    Attributes:
        folded: number of batch norms that are gone.
        merged: number of paddings that are gone.
        convolutions: those with weights of their own.
    """

    module: fx.GraphModule
    folded: int
    merged: int
    convolutions: tuple[nn.Conv2d, ...]

    def lay_out(self, layout: torch.memory_format) -> None:
        """Lay out the convolutions' weights in memory."""
        for one in self.convolutions:
            one.weight.data = one.weight.data.contiguous(memory_format=layout)


def fold(module: nn.Module) -> Folded:
    """Return the network in evaluation mode, folded; raises what tracing raises where it cannot be traced.

    Convolutions are new, everything else is shared with `module`, which stays as it is. What is folded is computed in
    float64.
    """
    traced = fx.symbolic_trace(module)
    graph = _Graph(traced)
    merged = sum(graph.merge_padding(node) for node in list(traced.graph.nodes))
    folded = sum(graph.fold_norm(node) for node in list(traced.graph.nodes))
    return Folded(traced, folded, merged, graph.place())


@dataclass
class _Convolution:
    """A convolution's weights and geometry."""

    weight: Tensor
    bias: Tensor | None
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    def fold(self, norm: nn.BatchNorm2d) -> None:
        """Scale and shift the results as the batch norm does."""
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean, variance = norm.running_mean.double(), norm.running_var.double()
        scale = (variance + norm.eps).rsqrt()
        if norm.weight is not None:
            scale = scale * norm.weight.double()
        shift = -mean if self.bias is None else self.bias.double() - mean
        shift = shift * scale + (0 if norm.bias is None else norm.bias.double())
        kind = self.weight.dtype
        self.weight = (self.weight.double() * scale[:, None, None, None]).to(kind)
        self.bias = shift.to(kind)

    def module(self) -> nn.Conv2d:
        """Return it as a module with weights of its own."""
        channels, inside, *kernel = self.weight.shape
        with torch.device("meta"):
            made = nn.Conv2d(
                inside * self.groups, channels, (kernel[0], kernel[1]), self.stride, self.padding, self.dilation,
                self.groups, self.bias is not None,
            )  # fmt: skip
        made.weight = nn.Parameter(self.weight.detach().clone(), requires_grad=False)
        if self.bias is not None:
            made.bias = nn.Parameter(self.bias.detach().clone(), requires_grad=False)
        return made.eval()


class _Graph:
    """A traced network, and the convolutions in it by node."""

    def __init__(self, traced: fx.GraphModule) -> None:
        self._traced = traced
        self._parts = dict(traced.named_modules())
        self.convolutions = {node: found for node in traced.graph.nodes if (found := self._convolution(node))}

    def merge_padding(self, node: fx.Node) -> bool:
        """Let a convolution do the padding with zeros before it, where both sides get as many; return whether."""
        margins = self._margins(node)
        users = list(node.users)
        if margins is None or not users or any(user not in self.convolutions for user in users):
            return False
        left, right, top, bottom = margins
        if left != right or top != bottom or min(margins) < 0:
            return False
        for user in users:
            one = self.convolutions[user]
            one.padding = one.padding[0] + top, one.padding[1] + left
        self._skip(node)
        return True

    def fold_norm(self, node: fx.Node) -> bool:
        """Fold a batch norm into the convolution before it, if nothing else sees that one; return whether."""
        norm = self._part(node)
        before = node.args[0] if node.args else None
        if type(norm) is not nn.BatchNorm2d or norm.running_mean is None or before not in self.convolutions:
            return False
        assert isinstance(before, fx.Node)
        if len(before.users) > 1:
            return False
        self.convolutions[before].fold(norm)
        self._skip(node)
        return True

    def place(self) -> tuple[nn.Conv2d, ...]:
        """Put the convolutions into the graph as modules of their own, and return these."""
        graph = self._traced.graph
        found = tuple(one.module() for one in self.convolutions.values())
        for number, (node, part) in enumerate(zip(self.convolutions, found, strict=True)):
            name = f"convolution_{number}"
            self._traced.add_module(name, part)
            with graph.inserting_after(node):
                made = graph.call_module(name, (node.args[0],))
            node.replace_all_uses_with(made)
            graph.erase_node(node)
        graph.eliminate_dead_code()
        self._traced.delete_all_unused_submodules()
        self._traced.recompile()
        return found

    def _skip(self, node: fx.Node) -> None:
        source = node.args[0]
        assert isinstance(source, fx.Node)
        node.replace_all_uses_with(source)
        self._traced.graph.erase_node(node)

    def _part(self, node: fx.Node) -> nn.Module | None:
        return self._parts.get(str(node.target)) if node.op == "call_module" else None

    def _margins(self, node: fx.Node) -> tuple[int, int, int, int] | None:
        """Return the zeros that a node adds left, right, above and below; None for what does something else."""
        part = self._part(node)
        if type(part) is nn.ZeroPad2d:
            return part.padding
        if node.op != "call_function" or node.target is not functional.pad:
            return None
        given = dict(zip(("input", "pad", "mode", "value"), node.args, strict=False)) | node.kwargs
        pad = given.get("pad")
        zeros = given.get("mode", "constant") == "constant" and not given.get("value")
        whole = isinstance(pad, tuple | list) and len(pad) == 4 and all(isinstance(side, int) for side in pad)
        return tuple(pad) if zeros and whole else None  # type: ignore[arg-type]

    def _convolution(self, node: fx.Node) -> _Convolution | None:
        """Return the convolution that a node is; None for anything else, and for kinds that are left alone."""
        part = self._part(node)
        if type(part) is nn.Conv2d and part.padding_mode == "zeros" and len(node.args) == 1 and not node.kwargs:
            return _of(part.weight, part.bias, part.stride, part.padding, part.dilation, part.groups)
        if node.op == "call_function" and node.target in _CONVOLUTIONS:
            return self._call(node)
        return None

    def _call(self, node: fx.Node) -> _Convolution | None:
        """Return the convolution of a call whose weights are the network's own."""
        given = dict(zip(_ARGUMENTS, node.args, strict=False)) | node.kwargs
        weight, bias = self._tensor(given.get("weight")), self._tensor(given.get("bias"))
        if weight is None or (bias is None and given.get("bias") is not None) or not isinstance(node.args[0], fx.Node):
            return None
        numbers = [given.get(name, usual) for name, usual in zip(_ARGUMENTS[3:], (1, 0, 1, 1), strict=True)]
        return _of(weight, bias, *numbers)

    def _tensor(self, value: Any) -> Tensor | None:
        """Return the tensor that an argument reads from the network."""
        if not isinstance(value, fx.Node) or value.op != "get_attr":
            return None
        found = attrgetter(str(value.target))(self._traced)
        return found if isinstance(found, Tensor) else None


def _of(weight: Tensor, bias: Tensor | None, *numbers: Any) -> _Convolution | None:
    """Return a convolution of images from stride, padding, dilation and groups; None where these follow the images."""
    stride, padding, dilation = (_pair(value) for value in numbers[:3])
    if stride is None or padding is None or dilation is None or not isinstance(numbers[3], int) or weight.dim() != 4:
        return None
    return _Convolution(weight, bias, stride, padding, dilation, numbers[3])


def _pair(value: Any) -> tuple[int, int] | None:
    """Return a number for both axes, or one for each; None for what is no such thing, as padding "same" is."""
    if isinstance(value, int):
        return value, value
    pair = tuple(value) if isinstance(value, tuple | list) and all(isinstance(side, int) for side in value) else ()
    return (pair * 2)[:2] if pair else None
