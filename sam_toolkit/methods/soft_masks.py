"""Images that are partly hidden under coarse, soft masks, and how far each cell of a mask matters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from sam_toolkit.fills import Filling
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch


class Upsampling(NamedTuple):
    """How a mask `[size, size]` becomes as large as an image.

    Attributes:
        size: cells along each side.
        kind: a cell's own value; linear interpolation; a mean weighted by a Gaussian of the distance to each cell.
        sigma: standard deviation of that Gaussian in pixels; None where there is none.
    """

    size: int
    kind: Literal["nearest", "bilinear", "gaussian"] = "nearest"
    sigma: float | None = None

    def weights(self, side: int) -> Tensor:
        """Return what each cell contributes to each pixel along a side, float64 `[side, size]`; rows sum to 1."""
        return _weights(self, side)

    def enlarge(self, masks: Tensor, height: int, width: int) -> Tensor:
        """Return masks `[N, size, size]` as `[N, height, width]`."""
        return self.weights(height).to(masks.device) @ masks @ self.weights(width).to(masks.device).T


@cache
def _weights(upsampling: Upsampling, side: int) -> Tensor:
    size = upsampling.size
    if upsampling.sigma is not None:
        cells = (torch.arange(size, dtype=torch.float64) + 0.5) * (side / size)
        pixels = torch.arange(side, dtype=torch.float64) + 0.5
        return (-((pixels[:, None] - cells) / upsampling.sigma).square() / 2).softmax(dim=1)
    each = torch.eye(size, dtype=torch.float64)[None]
    mode = "nearest" if upsampling.kind == "nearest" else "linear"
    return interpolate(each, size=side, mode=mode)[0].T


class Jitter(NamedTuple):
    """How the image moves at random before the network: to as many places along each axis as `choices`.

    Attributes:
        frame: image: the mask moves along, and what leaves the image is replaced by its border; window: the image,
            enlarged by as many pixels, moves under the mask.
    """

    choices: int = 1
    frame: Literal["image", "window"] = "image"

    @property
    def margin(self) -> int:
        """Return by how many pixels images are enlarged."""
        return self.choices if self.frame == "window" and self.choices > 1 else 0

    @property
    def rest(self) -> tuple[int, int]:
        """Return the place in the middle."""
        return self.choices // 2, self.choices // 2

    def draw(self, stream: Rng, image_id: str, step: int) -> tuple[int, int]:
        """Return the place of an image at a step of the stream `stream`."""
        if self.choices == 1:
            return self.rest
        down, right = torch.randint(self.choices, (2,), generator=stream.generator(image_id, step)).tolist()
        return down, right

    def places(self, offset: int, side: int) -> tuple[Tensor, Tensor]:
        """Return, for each pixel along a side, that of the (enlarged) image and that of the mask which it shows."""
        here = torch.arange(side)
        if self.margin:
            return here + offset, here
        moved = (here + offset - self.choices // 2).clamp(0, side - 1)
        return moved, moved


@dataclass(frozen=True)
class View:
    """An image under a mask as the network sees it.

    Attributes:
        shown: input `[C, H, W]` with nothing hidden.
        hidden: input `[C, H, W]` with everything hidden.
        down: what each row of cells contributes to each row of pixels, float64 `[H, size]`.
        across: the same of columns, `[W, size]`.
    """

    shown: Tensor
    hidden: Tensor
    down: Tensor
    across: Tensor

    def under(self, mask: Tensor) -> Tensor:
        """Return the input `[C, H, W]` under a mask `[size, size]`, in which 1 shows and 0 hides."""
        weight = (self.down @ mask @ self.across.T).to(self.shown)
        return torch.lerp(self.hidden, self.shown, weight.expand_as(self.shown))

    def pull(self, gradient: Tensor) -> Tensor:
        """Return the gradient at the mask, float64 `[size, size]`, from that at the input `[C, H, W]`."""
        pixels = (gradient.double() * (self.shown - self.hidden).double()).sum(dim=0)
        return self.down.T @ pixels @ self.across


class Cover(NamedTuple):
    """What hides, how the image moves, and how masks become as large as it."""

    filling: Filling
    jitter: Jitter
    upsampling: Upsampling

    def resting(self) -> Cover:
        """Return the cover of images that do not move, without what does not matter to them."""
        return self if self.jitter.margin else self._replace(jitter=Jitter())


class Scenes:
    """The images of a batch and what hides them, made once for all covers that agree in it."""

    def __init__(self, model: Model, batch: Batch, rng: Rng) -> None:
        """Hold the batch; what hides it is made when it is asked for."""
        self.model, self.batch = model, batch
        self.rng = rng
        self._inputs = model.inputs(batch.images)
        self._made: dict[tuple[Filling | None, int], Tensor] = {}

    def view(self, cover: Cover, image: int, offset: tuple[int, int]) -> View:
        """Return an image of the batch, moved to `offset`, with what hides it and its mask's weights."""
        shown, hidden = (self._images(filling, cover.jitter.margin)[image] for filling in (None, cover.filling))
        height, width = self._inputs.shape[-2:]
        device = self._inputs.device
        (rows, down), (columns, across) = map(cover.jitter.places, offset, (height, width))

        def moved(whole: Tensor) -> Tensor:
            return whole.index_select(1, rows.to(device)).index_select(2, columns.to(device))

        weights = cover.upsampling.weights
        return View(moved(shown), moved(hidden), weights(height)[down].to(device), weights(width)[across].to(device))

    def _images(self, filling: Filling | None, margin: int) -> Tensor:
        """Return inputs `[N, C, H + margin, W + margin]` with everything hidden, or nothing for no filling."""
        if (filling, margin) not in self._made:
            images = self._inputs if filling is None else filling.everywhere(self.model, self.batch, self.rng)
            if margin:
                size = [side + margin for side in images.shape[-2:]]
                images = interpolate(images, size=size, mode="bilinear", align_corners=False)
            self._made[filling, margin] = images
        return self._made[filling, margin]
