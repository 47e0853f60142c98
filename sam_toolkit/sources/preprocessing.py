"""Changes that a study makes to the preprocessing that a model source would use."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from sam_toolkit.errors import ModelError
from sam_toolkit.images import Preprocessing
from sam_toolkit.sources.layouts import Normaliser
from sam_toolkit.types import Params, field

_Side = Annotated[int, Field(ge=1)]


class PreprocessingParams(Params):
    """Fields that replace those of the source's own preprocessing; None leaves one as it is."""

    crop: _Side | None = field(None, help="side of the square network input")
    resize: _Side | tuple[_Side, _Side] | Literal["none"] | None = field(
        None, help="short side before the centre crop; or [height, width]; or none: do not resize"
    )
    interpolation: Literal["bilinear", "bicubic", "nearest"] | None = field(None, help="of the resizing, antialiased")
    mean: tuple[float, ...] | None = field(
        None, help="per channel, in [0, 1] units; one value: the network takes grey images"
    )
    std: tuple[Annotated[float, Field(gt=0)], ...] | None = field(None, help="per channel, in [0, 1] units")
    clamp: bool | None = field(None, help="whether the model clamps images to [0, 1] before it normalises them")

    def applied(self, base: Preprocessing, normaliser: Normaliser | None = None) -> Preprocessing:
        """Return `base` with these changes, and with the normaliser of a checkpoint and the clamp before it.

        Raises ModelError where the outcome contradicts itself, or what the checkpoint normalises by.
        """
        if normaliser is not None:
            base = replace(base, mean=normaliser.mean, std=normaliser.std, clamp=True)
            self._require(normaliser)
        changes = {name: value for name, value in self if value is not None}
        if self.resize == "none":
            changes["resize"] = None
        merged = replace(base, **changes)
        if not len(merged.mean) == len(merged.std) in (1, 3):
            raise ModelError(
                "Preprocessing needs a mean and a std of 3 values each (RGB) or 1 each (grey); "
                f"got mean {list(merged.mean)} and std {list(merged.std)}."
            )
        sides = merged.resize if isinstance(merged.resize, tuple) else (merged.resize or merged.crop,)
        if min(sides) < merged.crop:
            raise ModelError(f"Preprocessing resizes to {merged.resize}, smaller than its crop of {merged.crop}.")
        return merged

    def _require(self, normaliser: Normaliser) -> None:
        for name, given, own in (("mean", self.mean, normaliser.mean), ("std", self.std, normaliser.std)):
            if given is not None and [np.float32(value) for value in given] != [np.float32(value) for value in own]:
                raise ModelError(
                    f"Preprocessing has {name} {list(given)}, but the checkpoint carries the {name} that its network "
                    f"was trained with, {list(own)}: leave `{name}` out."
                )
