"""Sets of pixels that grow one by one, and the pixels within a window of them (LENS, Kamath et al., AAAI 2024).

*Picks* are pixels in the order in which they enter a set, int32 with -1 for none: the first k are the set of size k.
The *reach* of a pixel is the place of the first pick within its window: it lies in the neighbourhood of the first k
picks exactly if its reach is below k. So one pass serves every k.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sam_toolkit.ops import _checks, _library


def diverse_picks(order: Tensor, size: tuple[int, int], window: int, count: int) -> Tensor:
    """Return the picks `[..., count]` of the greedy scan: a pixel enters unless one within its window did before.

    Args:
        order: int32 `[..., m]`, the pixels of each map in the order of the scan.
        size: height and width of the maps.
        window: how many rows and columns a window goes to each side; 0 keeps every pixel.
        count: picks to return; -1 follows where the scan ends before.

    Raises:
        OpError: where a shape or dtype is wrong, a number is negative, or a pixel lies outside the map.
    """
    rows = _places("diverse_picks", "order", order, size, 0)
    _checks.require(count >= 0, "diverse_picks", "count must not be negative", count)
    reach = _window("diverse_picks", size, window)
    return _library.call("diverse_picks", rows, *size, reach, count).reshape(*order.shape[:-1], count)


def reach(picks: Tensor, size: tuple[int, int], window: int) -> Tensor:
    """Return int32 `[..., H * W]`: for each pixel the place of the first pick within its window, m where none is.

    Args:
        picks: int32 `[..., m]`, pixels or -1.
        size: height and width of the maps.
        window: how many rows and columns it goes to each side; it ends at the borders.

    Raises:
        OpError: where a shape or dtype is wrong, the window is negative, or a pixel lies outside the map.
    """
    rows = _places("reach", "picks", picks, size, -1)
    extent = _window("reach", size, window)
    return _library.call("reach", rows, *size, extent).reshape(*picks.shape[:-1], size[0] * size[1])


def overlaps(reach: Tensor, picks: Tensor, pairs: Tensor, counts: Sequence[int]) -> Tensor:
    """Return int64 `[B, P, C]`: of a pair's second map the first c picks that the first map's first c picks reach.

    Args:
        reach: int32 `[B, K, n]`, as `reach` returns it.
        picks: int32 `[B, K, m]`.
        pairs: int64 `[P, 2]`, indices into K: whose reach, and whose picks.
        counts: each c, from 0 to m; many cost about as much as one.

    Raises:
        OpError: where a shape or dtype is wrong, a pair names no map, or a count is out of range.
    """
    fits = reach.dtype == torch.int32 and reach.dim() == 3 and reach.shape[:2] == picks.shape[:2]
    _checks.require(fits, "overlaps", "reach must be int32 [B, K, n] for picks [B, K, m]", _checks.describe(reach))
    who = _places("overlaps", "picks", picks, (1, reach.shape[-1]), -1).reshape(picks.shape)
    rows = _checks.pairs("overlaps", pairs, reach.shape[1])
    length = picks.shape[-1]
    wrong = [count for count in counts if not 0 <= count <= length]
    _checks.require(not wrong, "overlaps", f"each count must be from 0 to the {length} picks", wrong)
    return _library.call("overlaps", reach.contiguous(), who, rows, list(counts))


def _places(op: str, name: str, places: Tensor, size: tuple[int, int], least: int) -> Tensor:
    """Return places `[B, m]` in a map of `size`, none of them under `least`."""
    _checks.require(min(size) >= 1, op, "a map must have a pixel", f"{size[0]} x {size[1]}")
    fits = places.dtype == torch.int32 and places.dim() >= 1
    _checks.require(fits, op, f"{name} must be int32 [..., m]", _checks.describe(places))
    pixels = size[0] * size[1]
    if places.numel():
        low, high = (int(end) for end in places.aminmax())
        inside = least <= low and high < pixels
        rule = f"{name} must be pixels of a map of {size[0]} x {size[1]}{', or -1' if least < 0 else ''}"
        _checks.require(inside, op, rule, f"{low} to {high}")
    return places.contiguous().reshape(places.shape[:-1].numel(), places.shape[-1])


def _window(op: str, size: tuple[int, int], window: int) -> int:
    """Return the window, no larger than it can matter."""
    _checks.require(window >= 0, op, "window must be 0 or more pixels to each side", window)
    return min(window, max(size) - 1)
