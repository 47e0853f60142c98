"""What stands where part of an image is hidden."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from scipy.ndimage import gaussian_filter
from torch import Tensor

from sam_toolkit.errors import ComponentError
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch

Level = Annotated[float, Field(ge=0, le=1)]
"""A value of a pixel's channel, in image units."""

Fill = Literal["mean", "black", "blur", "noise"] | Level | tuple[Level, Level, Level]
"""The mean colour (zero at inputs), black, the blurred image, uniform noise, a grey level, or a colour."""


@dataclass(frozen=True)
class Filling:
    """A fill with what else it depends on: equal ones hide a box in the same way.

    Attributes:
        blur_sigma: standard deviation of the blur in pixels; None where nothing is blurred.
        seed: seed of the noise; None where nothing is drawn.
        own_size: whether the blur is in pixels of the pictures that images were made from.
    """

    fill: Fill
    blur_sigma: float | None = None
    seed: int | None = None
    own_size: bool = False

    @classmethod
    def of(cls, fill: Fill, blur_sigma: float, seed: int, own_size: bool = False) -> Filling:
        """Return the filling, without the details that do not matter to `fill`."""
        blurred = fill == "blur"
        return cls(fill, blur_sigma if blurred else None, seed if fill == "noise" else None, own_size and blurred)

    def inputs(self, model: Model, batch: Batch, rng: Rng, draw: int = 0) -> float | Tensor:
        """Return the fill as network input: 0.0, one value a channel `[C]`, or images `[N, C, H, W]`.

        `draw` numbers the images of noise, where one is not enough.

        Raises ComponentError where a colour does not have the images' number of channels.
        """
        match self.fill:
            case "mean":
                return 0.0
            case "blur":
                return model.inputs(self._blurred(batch))
            case "noise":
                stream, shape = rng.child("fill", str(self.seed)), batch.images.shape[1:]
                return model.inputs(torch.stack([stream.uniform(name, draw, shape) for name in batch.ids]))
            case "black":
                colour: tuple[float, ...] = (0.0,)
            case _:
                colour = self.fill if isinstance(self.fill, tuple) else (self.fill,)
        return _colour_inputs(model, colour, batch.images.shape[1])

    def _blurred(self, batch: Batch) -> Tensor:
        origins = batch.origins if self.own_size and batch.origins else [None] * len(batch)
        scales = [origin.scale if origin else (1.0, 1.0) for origin in origins]
        return torch.stack([
            torch.from_numpy(gaussian_filter(image, np.array(scale) * self.blur_sigma, mode="nearest", axes=(-2, -1)))
            for image, scale in zip(batch.images.cpu().numpy(), scales, strict=True)
        ])  # fmt: skip

    def everywhere(self, model: Model, batch: Batch, rng: Rng) -> Tensor:
        """Return the network inputs `[N, C, H, W]` of images that are hidden altogether; raises as `inputs` does."""
        fill = torch.as_tensor(self.inputs(model, batch, rng), device=model.device)
        return (fill[:, None, None] if fill.dim() == 1 else fill).expand(batch.images.shape)


def _colour_inputs(model: Model, colour: tuple[float, ...], channels: int) -> Tensor:
    if len(colour) not in (1, channels):
        raise ComponentError(
            f"fill: a colour has one value a channel; got {len(colour)} values for images with {channels}. "
            "Give one number instead."
        )
    return model.inputs(torch.tensor(colour).expand(channels)[:, None, None])[:, 0, 0]
