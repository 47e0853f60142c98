"""What the released code of LENS does another way than the paper and the definitions, one by one and by name."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

Deviation = Literal["lens-2024", "second-pick", "row-wrap", "pixel-zero", "pool", "flower-window", "nominal-k"]
"""A deviation's name; all of them together."""

ABOUT = (
    "deviations of LENS's released code. second-pick: the second pick of a diverse set rules its window out and is "
    "lost; row-wrap: windows run over the left and right borders into the next row; pixel-zero: the first pixel is in "
    "no window and no diverse set; pool: diverse sets are sought among the best pixels only, as many as the code has "
    "for the maps' size, and NaN where they run out, as it ends with an error; flower-window: windows of w = 3 in maps "
    "of 128 x 128 have the 4th rows for the 3rd ones; nominal-k: counts are divided by k, however many pixels were "
    "found; lens-2024: all of them"
)

_POOLS = {(28, 28): (600,), (128, 128): (6000,), (227, 227): (6000, 15000, 25000)}
"""Candidates of the code by size, for w = 1, 2, 3; the last for more."""
_FLOWER, _FLOWER_ROWS = (128, 128), (-4, -2, -1, 0, 1, 2, 4)


class Released(NamedTuple):
    """Windows and diverse sets with these deviations, in maps of `size`."""

    deviations: frozenset[str]
    size: tuple[int, int]

    def changes_windows(self, window: int) -> bool:
        """Return whether windows are not what they are by definition."""
        flower = "flower-window" in self.deviations and self.size == _FLOWER and window == 3
        return flower or bool(self.deviations & {"row-wrap", "pixel-zero"})

    def changes_picks(self, window: int) -> bool:
        """Return whether diverse sets are not what they are by definition."""
        return self.changes_windows(window) or bool(self.deviations & {"second-pick", "pool"})

    def _around(self, window: int) -> Tensor:
        """Return the pixels `[H * W, L]` of each pixel's window; H * W, which is none, for what does not count."""
        height, width = self.size
        flower = "flower-window" in self.deviations and self.size == _FLOWER and window == 3
        rows = torch.tensor(_FLOWER_ROWS) if flower else torch.arange(-window, window + 1)
        columns = torch.arange(-window, window + 1).repeat(len(rows))
        pixels = torch.arange(height * width)[:, None]
        others = pixels + rows.repeat_interleave(2 * window + 1) * width + columns
        beside = pixels % width + columns
        counts = (others >= ("pixel-zero" in self.deviations)) & (others < height * width)
        if "row-wrap" not in self.deviations:
            counts &= (beside >= 0) & (beside < width)
        return torch.where(counts, others, height * width)

    def reach(self, picks: Tensor, window: int) -> Tensor:
        """Return `ops.reach` `[..., H * W]` of picks `[..., m]`, with these windows."""
        pixels, length = self.size[0] * self.size[1], picks.shape[-1]
        around = torch.nn.functional.pad(self._around(window), (0, 0, 0, 1), value=pixels).to(picks.device)
        near = around[picks.long().where(picks >= 0, pixels)].flatten(-2)
        places = torch.arange(length, device=picks.device).repeat_interleave(around.shape[1]).expand(near.shape)
        found = torch.full((*picks.shape[:-1], pixels + 1), length, device=picks.device)
        return found.scatter_reduce(-1, near, places, "amin")[..., :-1].int()

    def picks(self, order: Tensor, window: int, count: int) -> tuple[Tensor, Tensor]:
        """Return the diverse picks `[..., count]` of pixels in order `[..., H * W]`, and how many there are `[...]`."""
        around = self._around(window)
        found = [self._picks(row, around, window, count) for row in order.flatten(0, -2).tolist()]
        picks = torch.tensor([picks for picks, _ in found], dtype=torch.int32).reshape(*order.shape[:-1], count)
        taken = torch.tensor([taken for _, taken in found]).reshape(order.shape[:-1])
        return picks.to(order.device), taken.to(order.device)

    def _picks(self, order: list[int], around: Tensor, window: int, count: int) -> tuple[list[int], int]:
        """Return a diverse set's picks, -1 for a place that stays empty, and how many places were taken.

        The code takes the second pixel of its list for the first once more, which is how it loses the second pick. It
        sets pixel 0 aside only after that, so 0 may be the first pick and the lost one, and rule pixels out, uncounted.
        """
        lost, zero = "second-pick" in self.deviations, "pixel-zero" in self.deviations
        taken = bytearray(len(order) + 1)
        kept: list[int] = []
        for pixel in self._pool(order, window):
            if len(kept) > count:
                break
            if taken[pixel] or (zero and pixel == 0 and len(kept) > lost):
                continue
            # Its own window does not hold pixel 0, which therefore comes first twice.
            kept += [pixel, pixel] if zero and lost and pixel == 0 and not kept else [pixel]
            for other in around[pixel].tolist():
                taken[other] = True
        if lost:
            del kept[1:2]
        kept = kept[:count]
        picks = [-1 if zero and pixel == 0 else pixel for pixel in kept]
        return picks + [-1] * (count - len(kept)), len(kept)

    def _pool(self, order: list[int], window: int) -> list[int]:
        pools = _POOLS.get(self.size) if "pool" in self.deviations else None
        return order[: pools[min(max(window, 1), len(pools)) - 1]] if pools else order
