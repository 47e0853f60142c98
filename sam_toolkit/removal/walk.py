"""Following a Lipschitz constant through a network, operation by operation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate
from torch.fx.proxy import TraceError
from torch.nn import functional

from sam_toolkit.errors import ComponentError
from sam_toolkit.removal import layers
from sam_toolkit.removal.operator_norm import Affine, affine_norm

_FACTS = frozenset({"size", "shape", "dim", "ndim", "numel", "device", "dtype"})
"""What is asked of a tensor without looking at its values."""

Known = Mapping[type[nn.Module] | str, float]
"""Constants of layers by type, or by name in the network."""


@dataclass(frozen=True)
class Factor:
    """One factor of the product.

    Attributes:
        name: of the layer, or of the first and the last of a run of affine ones, which count as one map.
        constant: its Lipschitz constant.
        exact: False where it comes from a random start, and lies up to 1 % too high.
    """

    name: str
    constant: float
    exact: bool


@dataclass(frozen=True, eq=False)
class Point:
    """A tensor within the network and how fast it can move.

    Attributes:
        value: what it is for one input, `[1, ...]`.
        base: Lipschitz constant of the tensor that `run` starts from.
        log: takes each factor once.
        run: the affine functions that follow, as one map.
        names: what they are called.
        shape: of the tensor that they start from; None without any.
    """

    value: Tensor
    base: float
    log: list[Factor]
    run: tuple[Affine, ...] = ()
    names: tuple[str, ...] = ()
    shape: torch.Size | None = None

    @cached_property
    def constant(self) -> float:
        """Return the Lipschitz constant of this tensor in the network's input."""
        if self.shape is None:
            return self.base
        stretch, exact = affine_norm(self._map, self.shape)
        ends = " .. ".join(dict.fromkeys((self.names[0], self.names[-1])))
        self.log.append(Factor(ends, stretch, exact))
        return self.base * stretch

    def followed(self, function: Affine, name: str) -> Point:
        """Return what an affine function makes of it."""
        shape = self.value.shape if self.shape is None else self.shape
        return Point(function(self.value), self.base, self.log, (*self.run, function), (*self.names, name), shape)

    def scaled(self, function: Affine, constant: float, name: str) -> Point:
        """Return what a function with a Lipschitz constant makes of it."""
        base = self.constant * constant
        self.log.append(Factor(name, constant, exact=True))
        return Point(function(self.value), base, self.log)

    def _map(self, tensor: Tensor) -> Tensor:
        for function in self.run:
            tensor = function(tensor)
        return tensor


class Tracer(fx.Tracer):
    """Keeps layers with a known constant whole."""

    def __init__(self, known: Known) -> None:
        super().__init__()
        self._known = known

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return whether the layer is looked into no further."""
        given = module_qualified_name in self._known or type(m) in self._known
        return given or super().is_leaf_module(m, module_qualified_name)


class Walk(fx.Interpreter):
    """Runs a traced network on a `Point`, and gives the point that comes out.

    Raises ComponentError where an operation has no known constant.
    """

    def __init__(self, module: fx.GraphModule, known: Known) -> None:
        super().__init__(module)
        self.extra_traceback = False
        self._known = known
        self._name = ""

    def run_node(self, n: fx.Node) -> Any:
        """Return what a node gives, and remember what it is called."""
        self._name = str(n.target) if n.op == "call_module" else n.name
        if self._writes(n) and len(n.all_input_nodes[0].users) > 1:
            raise ComponentError(
                f"What is at {self._name!r} writes over a tensor that is used elsewhere too, which is not followed. "
                "Let it make a tensor of its own."
            )
        return super().run_node(n)

    def _writes(self, n: fx.Node) -> bool:
        """Return whether a node works in place, and moves what it writes over further than it moved before."""
        layer = self.fetch_attr(str(n.target)) if n.op == "call_module" else None
        kind = layers.SAME_AS.get(n.target) if layer is None else type(layer)
        in_place = n.kwargs.get("inplace", False) or getattr(layer, "inplace", False)
        return n.target in layers.IN_PLACE or bool(in_place and kind not in layers.SLOPE_ONE)

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        """Return the point after a layer."""
        layer = self.fetch_attr(str(target))
        given = self._known.get(str(target), self._known.get(type(layer)))
        if len(args) != 1 or kwargs or not isinstance(args[0], Point):
            raise self._unknown(type(layer).__name__)
        return self._through(layer, args[0]) if given is None else args[0].scaled(layer, given, self._name)

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        """Return the point after a function; what shapes and numbers alone go into is computed as it is."""
        if not _points(args, kwargs):
            return super().call_function(target, args, kwargs)
        if target is getattr and args[1] in _FACTS:
            return super().call_function(target, *_values(args, kwargs))
        return self._called(target, target, args, kwargs)

    def call_method(self, target: Any, args: Any, kwargs: Any) -> Any:
        """Return the point after a method; sizes are no points."""
        if target in _FACTS or not _points(args, kwargs):
            return super().call_method(target, *_values(args, kwargs))
        return self._called(target, _method(target), args, kwargs)

    def _called(self, target: Any, call: Callable[..., Any], args: Any, kwargs: Any) -> Point:
        """Return the point after what is called; `target` is the function, or the name of the method."""
        points, first = _points(args, kwargs), args[0] if args else None
        if target in layers.SAME_AS and isinstance(first, Point):
            return self._through(layers.SAME_AS[target](*args[1:], **kwargs), first)
        if len(points) == 1 and _is_affine(target, args, kwargs):
            return points[0].followed(lambda tensor: call(*_put(args, tensor), **kwargs), self._name)
        if target not in layers.JOINS and (kwargs or target not in layers.SUMS):
            raise self._unknown(getattr(target, "__name__", str(target)))
        values, options = _values(args, kwargs)
        constants = [point.constant for point in points]
        constant = sum(constants) if target in layers.SUMS else math.hypot(*constants)
        return Point(call(*values, **options), constant, points[0].log)

    def _through(self, layer: nn.Module, point: Point) -> Point:
        if layers.is_affine(layer):
            return point.followed(layer, self._name)
        constant = layers.layer_constant(layer)
        if constant is None:
            raise self._unknown(type(layer).__name__)
        return point.scaled(layer, constant, self._name)

    def _unknown(self, operation: str) -> ComponentError:
        return ComponentError(
            f"No Lipschitz constant is known for {operation} at {self._name!r}, so the network has no certificate. "
            "Name one for the layer, by its name or type, in `known`; or give the network's, by given_lipschitz."
        )


def follow(module: nn.Module, point: Point, known: Known) -> Point:
    """Return the output of a network in evaluation mode as a point; raises ComponentError where it cannot."""
    tracer = Tracer(known)
    if tracer.is_leaf_module(module, ""):
        module = nn.Sequential(module)
    try:
        graph = tracer.trace(module)
    except (TraceError, TypeError, AttributeError, RuntimeError) as error:
        raise ComponentError(
            f"{type(module).__name__} cannot be followed, for what it does depends on its input's values ({error}). "
            "Give its Lipschitz constant, by given_lipschitz."
        ) from None
    try:
        found = Walk(fx.GraphModule(module, graph), known).run(point)
    except RuntimeError as error:
        shape = list(point.value.shape[1:])
        raise ComponentError(f"{type(module).__name__} does not take inputs of shape {shape}: {error}") from None
    if not isinstance(found, Point):
        raise ComponentError(f"A network gives one tensor; {type(module).__name__} gives {type(found).__name__}.")
    return found


def _points(args: Any, kwargs: Any) -> list[Point]:
    found: list[Point] = []

    def keep(leaf: Any) -> Any:
        if isinstance(leaf, Point):
            found.append(leaf)

    map_aggregate((args, kwargs), keep)
    return found


def _values(args: Any, kwargs: Any) -> Any:
    """Return arguments with each point's value in its place."""
    return _put(args), _put(kwargs)


def _put(args: Any, tensor: Tensor | None = None) -> Any:
    """Return arguments with `tensor`, or each point's value, in the place of points."""

    def value(leaf: Any) -> Any:
        if not isinstance(leaf, Point):
            return leaf
        return leaf.value if tensor is None else tensor

    return map_aggregate(args, value)


def _method(name: str) -> Callable[..., Any]:
    return lambda tensor, *args, **kwargs: getattr(tensor, name)(*args, **kwargs)


def _is_affine(target: Any, args: Any, kwargs: Any) -> bool:
    if target in layers.SUMS or target in layers.SCALES:
        return True
    if not isinstance(args[0], Point):
        return False
    still = target is functional.dropout and kwargs.get("training") is False
    over = target in layers.QUOTIENTS and not kwargs
    return still or over or target in layers.AFFINE_FUNCTIONS or target in layers.AFFINE_METHODS
