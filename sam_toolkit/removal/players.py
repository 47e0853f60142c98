"""Players: the parts of an input that are shown or removed together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from sam_toolkit.errors import ComponentError
from sam_toolkit.methods.superpixels import Superpixels, cut


@dataclass(frozen=True, eq=False)
class Players:
    """A partition of an input into players.

    Attributes:
        labels: which player each element belongs to, int64; the shape is that of the input's last dimensions, such as
            `[H, W]` for pixels with all their channels, or `[F]` for features.
        count: d, the number of players; one without an element is a null player, which changes nothing.
    """

    labels: Tensor
    count: int

    @classmethod
    def of(cls, labels: Tensor, count: int | None = None) -> Players:
        """Return players from labels 0, 1, ... of any integer type; raises ComponentError for others."""
        if labels.is_floating_point() or labels.dtype == torch.bool or not labels.numel() or int(labels.min()) < 0:
            raise ComponentError(
                f"labels must be whole numbers from 0 on, one an element; got {labels.dtype} {list(labels.shape)}"
                f"{f' from {labels.min()} on' if labels.numel() else ''}."
            )
        needed = int(labels.max()) + 1
        if count is not None and count < needed:
            raise ComponentError(f"count must be at least {needed}, the largest label and one; got {count}.")
        return cls(labels.long().cpu(), count or needed)

    def shown(self, masks: Tensor) -> Tensor:
        """Return which elements masks `[R, d]` show, bool `[R, *labels.shape]`."""
        return masks[:, self.labels.to(masks.device)]

    def paint(self, values: Tensor) -> Tensor:
        """Return values `[..., d]` of players at all of their elements, `[..., *labels.shape]`."""
        return values[..., self.labels.to(values.device)]

    def fit(self, image: Tensor) -> None:
        """Raise ComponentError unless the labels fit the last dimensions of one input."""
        own = self.labels.shape
        if image.dim() < len(own) or image.shape[image.dim() - len(own) :] != own:
            raise ComponentError(f"players are labelled as {list(own)}, but the input is {list(image.shape)}.")


def features(count: int) -> Players:
    """Return each of `count` features of a row of a table as a player."""
    return Players.of(torch.arange(count))


def pixels(size: tuple[int, int]) -> Players:
    """Return each pixel of an image of `size` (H, W), with all its channels, as a player."""
    return Players.of(torch.arange(size[0] * size[1]).reshape(size))


def patches(size: tuple[int, int], count: int) -> Players:
    """Return exactly `count` rectangles that tile images of `size` (H, W), as close to equal squares as that allows.

    Rows differ by one rectangle at most where `count` is no product. Raises ComponentError where they do not fit.
    """
    height, width = size
    down = max(1, min(height, count, round((max(count, 1) * height / width) ** 0.5)))
    bounds = [row * count // down for row in range(down + 1)]
    if count < 1 or max(end - start for start, end in pairwise(bounds)) > width:
        raise ComponentError(
            f"an image of {height} x {width} is not cut into {count} patches; ask for at least 1, and for few enough "
            "that each has a pixel."
        )
    rows = torch.arange(height) * down // height
    first = torch.tensor(bounds)[rows, None]
    across = torch.tensor(bounds)[rows + 1, None] - first
    return Players.of(first + torch.arange(width) * across // width, count)


def superpixels(image: Tensor, way: Superpixels, count: int | None = None) -> Players:
    """Return the superpixels of an image `[C, H, W]` as players.

    With `count`, exactly so many: while there are more, the smallest one joins the neighbour of the likest mean colour;
    where there are fewer, the last players are null players. Raises ComponentError as `cut` does.
    """
    labels = cut(way, image[None])[0]
    if count is None:
        return Players.of(labels)
    while int(labels.max()) >= count:
        labels = _joined(labels, image.cpu())
    return Players.of(labels, count)


def _joined(labels: Tensor, image: Tensor) -> Tensor:
    """Return labels `[H, W]` with the smallest superpixel joined to a neighbour, numbered without a gap."""
    sizes = labels.flatten().bincount()
    smallest = int(sizes.argmin())
    near = _neighbours(labels, smallest)
    sums = torch.zeros(len(sizes), len(image), dtype=torch.float64)
    means = sums.index_add_(0, labels.flatten(), image.flatten(1).T.double()) / sizes[:, None]
    likest = near[(means[near] - means[smallest]).square().sum(dim=1).argmin()]
    merged = torch.where(labels == smallest, likest, labels)
    return merged - (merged > smallest).long()


def _neighbours(labels: Tensor, one: int) -> Tensor:
    """Return the other labels that touch `one` across an edge of a pixel."""
    pairs = torch.cat([
        torch.stack([labels[1:].flatten(), labels[:-1].flatten()]),
        torch.stack([labels[:, 1:].flatten(), labels[:, :-1].flatten()]),
    ], dim=1)  # fmt: skip
    touching = torch.cat([pairs[1][pairs[0] == one], pairs[0][pairs[1] == one]]).unique()
    others: Tensor = touching[touching != one]
    return others
