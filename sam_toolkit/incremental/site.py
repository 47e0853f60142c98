"""A node of a graph and what its readers may ask: shapes, values that do not depend on the images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import fx

from sam_toolkit.incremental.operators.base import Operator


@dataclass(frozen=True)
class Found:
    """An operator and the nodes whose activations it takes."""

    operator: Operator
    inputs: tuple[fx.Node, ...]


@dataclass(frozen=True)
class Site:
    """A node with what is known of its graph.

    Attributes:
        shapes: of every node whose value is a tensor that depends on the images, for one image.
        constants: the values of nodes that do not depend on the images.
    """

    node: fx.Node
    shapes: Mapping[fx.Node, Sequence[int]]
    constants: Mapping[fx.Node, Any]

    def value(self, argument: Any) -> Any:
        """Return an argument's value; raises TypeError where it depends on the images."""
        if isinstance(argument, fx.Node):
            if argument not in self.constants:
                raise TypeError(argument.name)
            return self.constants[argument]
        return fx.node.map_aggregate(argument, lambda one: self.value(one) if isinstance(one, fx.Node) else one)

    def spatial(self, argument: Any) -> bool:
        """Return whether an argument is an activation `[n, C, H, W]`."""
        return isinstance(argument, fx.Node) and len(self.shapes.get(argument, ())) == 4

    @property
    def shape(self) -> Sequence[int]:
        """Return the shape of the node's own value."""
        return self.shapes.get(self.node, ())


Reader = Callable[..., Found | None]
"""Has the signature of the function that it reads, after the site; None: the node is none of the operators.

A TypeError means the same: the arguments are not the function's, or depend on the images where they must not.
"""
