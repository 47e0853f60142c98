"""What steps cost, in multiply-adds: those that they do, and those that could be done while bytes move."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import fx

from sam_toolkit.incremental.geometry import Region
from sam_toolkit.incremental.program import Program, Step

_PER_BYTE = 4.0
"""Multiply-adds of a float32 convolution in the time of a byte read or written; measured on one core."""
_PER_CALL = 2e6
"""Multiply-adds in the time that a step takes to begin."""
_LARGEST_SHARES = (0.0, 0.3, 0.45, 0.6, 0.7, 0.8, 0.9, 0.999)
"""Of an activation, what a window may hold at most before all of it is computed."""


class Costs:
    """The costs of a program's steps, per row."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._bytes = {node: 4 * math.prod(shape[1:-2]) for node, shape in program.shapes.items() if len(shape) >= 4}
        self._whole = {step.node: self._of_whole(step) for step in program.steps}

    @property
    def whole(self) -> float:
        """Return the cost of a row of the network on whole activations."""
        return sum(self._whole.values())

    @property
    def of_batch(self) -> float:
        """Return what a batch costs beside its rows: its calls, and the weights that are read and put in order."""
        weights = sum(tensor.nbytes for tensor in self._program.weights)
        return _PER_CALL * len(self._program.steps) + _PER_BYTE * weights

    def of_pixel(self, node: fx.Node) -> float:
        """Return about what a pixel of an activation costs where windows are computed."""
        pixels = math.prod(self._program.shapes[node][-2:])
        return self._program.multiply_adds[node] / pixels + 3 * _PER_BYTE * self._bytes[node]

    def peak(self, windows: Mapping[fx.Node, Region]) -> int:
        """Return the bytes of a row's largest activation, where some are held as windows."""
        held = [node for node in (self._program.image, *self._whole) if node in self._bytes]
        return max(
            self._bytes[node] * (windows[node].area if node in windows else math.prod(self._program.shapes[node][-2:]))
            for node in held
        )

    def windows(self, regions: Mapping[fx.Node, Region]) -> tuple[float, set[fx.Node]]:
        """Return the least cost of a row whose activations change in `regions`, and where windows are kept for it."""
        return min((self._with_share(regions, share) for share in _LARGEST_SHARES), key=lambda found: found[0])

    def _with_share(self, regions: Mapping[fx.Node, Region], share: float) -> tuple[float, set[fx.Node]]:
        total, kept, gone_whole = 0.0, {self._program.image}, set[fx.Node]()
        for step in self._program.steps:
            entering = [node for node in step.inputs if node in kept]
            if len(entering) == len(step.inputs) and step.operator and step.operator.reduces:
                total += sum(self._bytes[node] * regions[node].area for node in entering) * _PER_BYTE
                continue
            region = regions.get(step.node)
            inside = region is not None and region.area <= share * region.full
            if region is not None and inside and len(entering) == len(step.inputs):
                kept.add(step.node)
                total += self._of_windows(step, regions)
                continue
            fresh = [node for node in entering if node not in gone_whole]
            gone_whole.update(fresh)
            total += self._whole[step.node] + sum(2 * self._bytes[n] * regions[n].full for n in fresh) * _PER_BYTE
        return total, kept

    def _of_windows(self, step: Step, regions: Mapping[fx.Node, Region]) -> float:
        assert step.operator is not None
        out, entering = regions[step.node], [regions[node] for node in step.inputs]
        gathered = step.operator.gathers(entering, out)
        moved = sum(
            self._bytes[node] * (region.area + 2 * copied)
            for node, region, copied in zip(step.inputs, entering, gathered, strict=True)
        )
        moved += self._bytes[step.node] * out.area * (1 + 2 * len(step.operator.activations))
        return self._program.multiply_adds[step.node] * out.area / out.full + moved * _PER_BYTE

    def _of_whole(self, step: Step) -> float:
        shapes = [self._program.shapes.get(node, ()) for node in (*step.inputs, step.node)]
        moved = 4 * sum(math.prod(shape) for shape in shapes if shape)
        if step.operator is not None and len(shapes[-1]) >= 4:
            moved += self._bytes[step.node] * math.prod(shapes[-1][-2:]) * 2 * len(step.operator.activations)
        return self._program.multiply_adds[step.node] + moved * _PER_BYTE
