"""A traced network for images of one size, as steps: operators that windows can go through, and all else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils.flop_counter import FlopCounterMode

from sam_toolkit.incremental.geometry import Region
from sam_toolkit.incremental.operators.base import Operator
from sam_toolkit.incremental.operators.convolution import Convolution
from sam_toolkit.incremental.operators.joining import Padding
from sam_toolkit.incremental.operators.pointwise import Normalisation, Pointwise, writing
from sam_toolkit.incremental.recognition import recognised
from sam_toolkit.incremental.site import Found, Site
from sam_toolkit.incremental.tracing import NotTraced

Shape = Sequence[int]


@dataclass(frozen=True)
class Step:
    """One value of the network.

    Attributes:
        operator: how it is made of `inputs`; None: as the graph says, of whole values.
        spent: the nodes whose values nobody needs afterwards.
    """

    node: fx.Node
    operator: Operator | None
    inputs: tuple[fx.Node, ...]
    spent: tuple[fx.Node, ...] = ()

    @property
    def asks_for_shape(self) -> bool:
        """Return whether all it looks at is the shape, or the type, of its input."""
        return self.node.target in ("size", "dim") or self.node.target is getattr


class Program:
    """The steps from images to logits.

    Attributes:
        image: the node of the images.
        result: the node of the logits.
        body: the steps up to features `[n, F]` that are all that the logits need.
        features: their node.
        head: the steps from features to logits, which are read from many batches at once.
        shapes: of each activation, for one image.
        multiply_adds: of each node, for one image.
        schedules: how windows were batched before, for whoever plans them.
    """

    def __init__(self, traced: fx.GraphModule, shape: Shape) -> None:
        """Read the graph for images of `shape` (C, H, W); raises NotTraced where its shapes cannot be told."""
        nodes = list(traced.graph.nodes)
        self.image = next(node for node in nodes if node.op == "placeholder")
        self._interpreter = fx.Interpreter(traced)
        self.schedules: dict[tuple[bytes, int], Any] = {}
        self.constants: dict[fx.Node, Any] = {}
        self._find_constants(nodes)
        survey = _Survey(traced)
        survey.survey(shape, next((one.dtype for one in traced.parameters()), torch.float32))
        self.shapes = {node: survey.shapes[node.name] for node in nodes if node.name in survey.shapes}
        self.multiply_adds = {node: survey.multiply_adds[node.name] for node in nodes if node is not nodes[-1]}
        output = nodes[-1].args[0]
        if not isinstance(output, fx.Node) or len(self.shapes.get(output, ())) != 2:
            raise NotTraced("its result is no tensor of logits [N, K]")
        self.result = output
        found = {node: found for node in nodes if (found := self._recognised(node, traced)) is not None}
        merged = _merged(found, self.result, self.multiply_adds)
        self.steps = _with_lifetimes(self._steps(nodes, merged), self.result)
        length = _length_of_body(self.steps, self.shapes, self.image)
        self.body, self.head = self.steps[:length], self.steps[length:]
        self.features = self.body[-1].node if self.body else self.image

    @property
    def weights(self) -> list[Tensor]:
        """Return the tensors that every batch reads: all but the head's."""
        module = self._interpreter.module
        heads = [str(step.node.target) for step in self.head if step.node.op == "call_module"]
        apart = {id(one) for name in heads for one in module.get_submodule(name).parameters()}
        return [one for one in module.parameters() if id(one) not in apart]

    def whole(self, step: Step, values: Mapping[fx.Node, Any]) -> Any:
        """Return a step's value from whole values."""
        if step.operator is not None:
            return step.operator.whole(*(values[node] for node in step.inputs))
        return self._called(step.node, values)

    def regions(self, image: Region) -> dict[fx.Node, Region]:
        """Return what changes of each activation that has a place, where `image` changes."""
        known = {self.image: image}
        for step in self.steps:
            if step.operator is None or not all(node in known for node in step.inputs):
                continue
            region = step.operator.region([known[node] for node in step.inputs], self.shapes[step.node])
            if region is not None:
                known[step.node] = region
        return known

    def _called(self, node: fx.Node, values: Mapping[fx.Node, Any]) -> Any:
        def look(one: fx.Node) -> Any:
            return self.constants[one] if one in self.constants else values[one]

        arguments, options = fx.node.map_arg((node.args, node.kwargs), look)
        return getattr(self._interpreter, node.op)(node.target, arguments, options)

    def _find_constants(self, nodes: Sequence[fx.Node]) -> None:
        """Compute the values that do not depend on the images."""
        for node in nodes:
            if node.op == "placeholder" and node is not self.image:
                self.constants[node] = node.args[0] if node.args else None
            elif node.op not in ("placeholder", "output") and self.constants.keys() >= set(node.all_input_nodes):
                self.constants[node] = self._called(node, {})

    def _recognised(self, node: fx.Node, traced: fx.GraphModule) -> Found | None:
        if node in self.constants:
            return None
        module = traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        return recognised(Site(node, self.shapes, self.constants), module)

    def _steps(self, nodes: Sequence[fx.Node], found: Mapping[fx.Node, Found]) -> list[Step]:
        """Return the steps that the result needs, in order."""
        steps: list[Step] = []
        needed = {self.result}
        for node in reversed(nodes):
            if node not in needed or node in self.constants or node is self.image:
                continue
            known = found.get(node)
            inputs = known.inputs if known else tuple(one for one in node.all_input_nodes if one not in self.constants)
            needed |= set(inputs)
            steps.append(Step(node, known.operator if known else None, inputs))
        return steps[::-1]


class _Survey(fx.Interpreter):
    """Goes through a graph without values, for the shapes and the multiply-adds of one image."""

    def __init__(self, traced: fx.GraphModule) -> None:
        empty = {id(tensor): tensor.to("meta") for tensor in (*traced.parameters(), *traced.buffers())}
        super().__init__(deepcopy(traced, memo=empty))
        self.shapes: dict[str, Shape] = {}
        self.multiply_adds: dict[str, int] = {}
        self._counter = FlopCounterMode(display=False)

    def run_node(self, n: fx.Node) -> Any:
        before = self._counter.get_total_flops()
        value = super().run_node(n)
        self.multiply_adds[n.name] = (self._counter.get_total_flops() - before) // 2
        if isinstance(value, Tensor):
            self.shapes[n.name] = tuple(value.shape)
        return value

    def survey(self, shape: Shape, dtype: torch.dtype) -> None:
        """Fill `shapes` and `multiply_adds` for an image of `shape` (C, H, W); raises NotTraced where it cannot."""
        try:
            with torch.no_grad(), self._counter:
                self.run(torch.empty(1, *shape, dtype=dtype, device="meta"))
        except Exception as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise NotTraced(f"its shapes for images {list(shape)} cannot be told: {first}") from error


def _merged(found: Mapping[fx.Node, Found], result: fx.Node, multiply_adds: dict[fx.Node, int]) -> dict[fx.Node, Found]:
    """Return the operators, padding, batch norm and activations made one with their neighbours; adds up their work."""
    merged = dict(found)
    for node in list(merged):
        one = merged[node]
        if len(one.inputs) != 1 or one.inputs[0] not in merged or _readers(one.inputs[0], merged, result) != {node}:
            continue
        before = merged[one.inputs[0]]
        operator = _together(before.operator, one.operator)
        if operator is not None:
            merged[node] = Found(operator, before.inputs)
            multiply_adds[node] += multiply_adds[one.inputs[0]]
            del merged[one.inputs[0]]
    return merged


def _readers(node: fx.Node, found: Mapping[fx.Node, Found], result: fx.Node) -> set[fx.Node]:
    """Return who needs a node's value."""
    readers = {user for user in node.users if user not in found or node in found[user].inputs}
    readers = {user for user in readers if user in found or user.users or user.op == "output"}
    return readers | ({result} if node is result else set())


def _together(first: Operator, second: Operator) -> Operator | None:
    """Return one operator that does what two do one after the other, or None."""
    match first, second:
        case Padding(value=0.0), Convolution():
            return second.padded(first.sides)
        case Convolution(activations=[]), Normalisation():
            return first.scaled(second.scale, second.shift)
        case Operator(absorbs=True, reduces=False), Pointwise(absorbs=True) if not isinstance(second, Normalisation):
            first.activations.append(writing(second.function))
            return first
    return None


def _length_of_body(steps: Sequence[Step], shapes: Mapping[fx.Node, Shape], image: fx.Node) -> int:
    """Return after how many steps one value `[n, F]` is all that the others need; all of them at the latest."""
    alive = {image}
    for number, step in enumerate(steps, start=1):
        alive = (alive | {step.node}) - set(step.spent)
        if alive == {step.node} and len(shapes.get(step.node, ())) == 2:
            return number
    return len(steps)


def _with_lifetimes(steps: Sequence[Step], result: fx.Node) -> list[Step]:
    """Return the steps with what nobody needs after each."""
    return list(_backwards(steps, {result}))[::-1]


def _backwards(steps: Sequence[Step], needed: set[fx.Node]) -> Iterator[Step]:
    for step in reversed(steps):
        spent = tuple(node for node in dict.fromkeys(step.inputs) if node not in needed)
        needed.update(spent)
        yield Step(step.node, step.operator, step.inputs, spent)
