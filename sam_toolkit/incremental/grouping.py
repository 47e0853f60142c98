"""Which positions share a batch: those whose windows are of about one size in every activation.

A batch is as slow as its largest window, and windows differ: by where a position stands between the steps of strides,
and by how much of them the borders cut off. Both are so for rows and for columns by themselves, so that positions are
put into classes along each axis, and a group is what two classes have in common.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sam_toolkit.incremental.geometry import Ints, Region, Stretch

_Floats = NDArray[np.float64]


_MOST = 8
"""Classes along an axis; more would leave too few positions to a batch."""


def groups(regions: Sequence[Region], weights: _Floats, rows: int, of_batch: float) -> list[Ints]:
    """Return batches of at most `rows` of the P positions, at about the least cost.

    Args:
        regions: what each position changes of each activation.
        weights: the cost of a pixel of each.
        rows: the most positions in a batch.
        of_batch: what a batch costs beside its positions.
    """
    down, across = [one.rows for one in regions], [one.columns for one in regions]
    by_row = _classes(down, weights * _means(across), _MOST)
    by_column = _classes(across, weights * _means(down), _MOST)
    heights, widths = _lengths(down), _lengths(across)

    def cost(batches: list[Ints]) -> float:
        sizes = [heights[one].max(axis=0) * widths[one].max(axis=0) * len(one) for one in batches]
        return float((np.sum(sizes, axis=0) * weights).sum()) + of_batch * len(batches)

    ways = (_batches(rows_of, columns_of, rows) for rows_of in by_row for columns_of in by_column)
    return min(ways, key=cost)


def _batches(by_row: Ints, by_column: Ints, rows: int) -> list[Ints]:
    """Return the positions of each pair of classes, in parts of about equal length."""
    pair = by_row * (by_column.max() + 1) + by_column
    members = [np.flatnonzero(pair == one) for one in np.unique(pair)]
    return [part for one in members for part in np.array_split(one, -(-len(one) // rows))]


def _lengths(stretches: Sequence[Stretch]) -> Ints:
    """Return the lengths `[P, A]` in each of A activations."""
    return np.stack([stretch.stop - stretch.first for stretch in stretches], axis=1)


def _means(stretches: Sequence[Stretch]) -> _Floats:
    means: _Floats = _lengths(stretches).mean(axis=0)
    return means


def _classes(stretches: Sequence[Stretch], weights: _Floats, most: int) -> list[Ints]:
    """Return for each number of classes up to `most` the class `[P]` of each position, at the least cost there is.

    Args:
        stretches: what each position changes of each activation, along one axis.
        weights: the cost of a pixel of each, times what is usual along the other axis.
        most: the largest number of classes.
    """
    kinds, kind_of, counts = np.unique(_lengths(stretches), axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(kinds @ weights)
    kinds, counts = kinds[order], counts[order]
    ranks = np.argsort(order)[kind_of.reshape(-1)]
    ends = _partitions(_costs(kinds, counts, weights), min(most, len(kinds)))
    return [np.searchsorted(end, ranks, side="right") for end in ends]


def _costs(kinds: Ints, counts: Ints, weights: _Floats) -> _Floats:
    """Return the cost `[i, j]` of a class of kinds i to j, j included."""
    costs = np.full((len(kinds), len(kinds)), np.inf)
    for first in range(len(kinds)):
        largest = np.maximum.accumulate(kinds[first:], axis=0) @ weights
        costs[first, first:] = largest * np.cumsum(counts[first:])
    return costs


def _partitions(costs: _Floats, most: int) -> list[Ints]:
    """Return for 1, 2 ... `most` classes where all but the last end, so that their costs add up to the least."""
    count = len(costs)
    least, cuts = costs[0], np.zeros((most, count), dtype=np.int64)
    found = [np.zeros(0, dtype=np.int64)]
    for classes in range(1, most):
        sums = least[:-1, None] + costs[1:]
        cuts[classes, :] = sums.argmin(axis=0) + 1
        least = np.minimum(sums.min(axis=0), least) if classes == 0 else sums.min(axis=0)
        found.append(_cuts(cuts, classes, count))
    return found


def _cuts(cuts: Ints, classes: int, count: int) -> Ints:
    """Return the beginnings of all classes but the first."""
    ends, last = [], count - 1
    for level in range(classes, 0, -1):
        ends.append(int(cuts[level, last]))
        last = ends[-1] - 1
    return np.array(ends[::-1], dtype=np.int64)
