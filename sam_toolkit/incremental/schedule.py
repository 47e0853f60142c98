"""Which positions share a batch, and where its windows lie in each activation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import fx

from sam_toolkit.incremental.cost import Costs
from sam_toolkit.incremental.geometry import Ints, input_region
from sam_toolkit.incremental.grouping import groups
from sam_toolkit.incremental.program import Program
from sam_toolkit.incremental.values import Place

_MOST_ROWS = 4
"""How many times a chunk of whole rows may share a batch of windows; larger ones were no faster on two cores."""


@dataclass(frozen=True)
class Batch:
    """Positions that go through the network together.

    Attributes:
        positions: their numbers.
        places: where they change each activation that is held as windows.
        cost: of a row, in multiply-adds.
    """

    positions: Ints
    places: Mapping[fx.Node, Place]
    cost: float

    def __len__(self) -> int:
        return len(self.positions)


class Schedule:
    """What becomes of windows `[P, 4]` of (y0, x0, y1, x1), ends exclusive, all of one size."""

    def __init__(self, program: Program, windows: Ints, size: tuple[int, int], chunk: int) -> None:
        """Plan batches for an image of `size` (H, W), in about the memory of `chunk` whole rows."""
        self.program = program
        self.costs = Costs(program)
        self.windows = windows
        self.regions = program.regions(input_region(windows, size))
        self.chunk = chunk

    @cached_property
    def batches(self) -> list[Batch]:
        """Return the batches, each position in one of them."""
        nodes = [node for node in self.regions if node is not self.program.image]
        weights = np.array([self.costs.of_pixel(node) for node in nodes])
        regions = [self.regions[node] for node in nodes] or [self.regions[self.program.image]]
        weights = weights if nodes else np.ones(1)
        return [self.batch(group) for group in groups(regions, weights, self.rows, self.costs.of_batch)]

    @property
    def rows(self) -> int:
        """Return how many rows a batch may have."""
        _, kept = self.costs.windows(self.regions)
        whole, windows = self.costs.peak({}), self.costs.peak({node: self.regions[node] for node in kept})
        return self.chunk * max(1, min(_MOST_ROWS, int(whole / windows)))

    @property
    def cost(self) -> float:
        """Return what the batches are predicted to cost, in multiply-adds."""
        return sum(batch.cost * len(batch) for batch in self.batches)

    @property
    def whole(self) -> float:
        """Return what whole rows are predicted to cost instead."""
        return self.costs.whole * len(self.windows)

    def batch(self, positions: Ints) -> Batch:
        """Return the batch of some positions."""
        regions = {node: region.take(positions) for node, region in self.regions.items()}
        cost, kept = self.costs.windows(regions)
        return Batch(positions, {node: Place(region) for node, region in regions.items() if node in kept}, cost)

    def halves(self, batch: Batch) -> list[Batch]:
        """Return a batch in two."""
        return [self.batch(half) for half in np.array_split(batch.positions, 2)]
