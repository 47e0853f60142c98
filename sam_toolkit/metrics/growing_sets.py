"""The k best pixels of maps, or k diverse ones, for every k at once, and the pixels near them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sam_toolkit import ops
from sam_toolkit.errors import ComponentError
from sam_toolkit.metrics.lens_released import Released


@dataclass(frozen=True)
class GrowingSets:
    """Sets of pixels of N images' K maps; the set of size k is the first k picks.

    Attributes:
        picks: int32 `[N, K, m]`, the pixels in the order in which they enter, -1 for none.
        taken: `[N, K]`, how many of the m places were taken.
        reach: int32 `[N, K, H * W]`: whose reach is below k lies near the set of size k.
        undefined: `[N, K]`, whether the map has a NaN, and with it no order.
        found: by k, how many pixels `[N, K]` the sets have, float64.
        covered: by k, which share `[N, K]` of the map lies near them, float64.
    """

    picks: Tensor
    taken: Tensor
    reach: Tensor
    undefined: Tensor
    found: Mapping[int, Tensor]
    covered: Mapping[int, Tensor]


@dataclass(frozen=True)
class Sets:
    """The pixels of maps in order, from which sets are made.

    Attributes:
        order: int32 `[N, K, H * W]`, the largest value first and of equal ones the lower index.
        size: height and width.
        ks: the sizes of sets that are asked for.
        released: the deviations that are kept.
    """

    order: Tensor
    undefined: Tensor
    size: tuple[int, int]
    ks: tuple[int, ...]
    released: Released

    @classmethod
    def of(cls, maps: Tensor, ks: Sequence[int], deviations: frozenset[str] = frozenset()) -> Sets:
        """Return the pixels of maps `[K, N, H, W]` in order; ComponentError where a k is more than they have."""
        height, width = maps.shape[-2:]
        if max(ks) > height * width:
            raise ComponentError(
                f"k must be at most the pixels of a map, {height} x {width} = {height * width}; got {max(ks)}."
            )
        rows = maps.detach().transpose(0, 1).flatten(2)
        size = (height, width)
        return cls(ops.descending_order(rows), rows.isnan().any(-1), size, tuple(ks), Released(deviations, size))

    def growing(self, apart: int, near: int) -> GrowingSets:
        """Return the sets whose pixels have none of the set within `apart`, and what lies within `near` of them."""
        most = max(self.ks)
        if apart == 0:
            picks = self.order[..., :most].contiguous()
            taken = torch.full(picks.shape[:2], most, device=picks.device)
        elif self.released.changes_picks(apart):
            picks, taken = self.released.picks(self.order, apart, most)
        else:
            picks = ops.diverse_picks(self.order, self.size, apart, most)
            taken = (picks >= 0).sum(-1)
        changed = near > 0 and self.released.changes_windows(near)
        reach = self.released.reach(picks, near) if changed else ops.reach(picks, self.size, near)
        found = {k: (picks[..., :k] >= 0).sum(-1).double() for k in self.ks}
        covered = {k: (reach < k).sum(-1).double() / reach.shape[-1] for k in self.ks}
        return GrowingSets(picks, taken, reach, self.undefined, found, covered)


def top_k_mask(maps: Tensor, k: int = 1000, w: int = 0) -> Tensor:
    """Return which pixels `[..., H, W]` are among the k best, ties by lower index, or with w > 0 among k diverse ones.

    Diverse pixels are found from the best one down, each with no other within w rows and columns; there may be fewer
    than k. A map with a NaN has none. Raises ComponentError where k is more than a map's pixels or w is negative.
    """
    if w < 0 or k < 1:
        raise ComponentError(f"top_k_mask: k must be at least 1 and w at least 0; got k={k}, w={w}.")
    flat = maps.reshape(1, -1, *maps.shape[-2:])
    sets = Sets.of(flat, [k]).growing(w, 0)
    mask = (sets.reach < k) & ~sets.undefined[..., None]
    return mask.reshape(maps.shape)
