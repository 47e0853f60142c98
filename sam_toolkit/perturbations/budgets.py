"""How far a perturbation may go from the clean image, in pixel units, and steps that stay within."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator
from torch import Tensor

from sam_toolkit.types import Params, field

Norm = Literal["l-inf", "l2"]
"""The largest change of any channel of a pixel, or the root of the sum of all squared changes."""


def _number(value: Any) -> Any:
    try:
        return float(Fraction(value)) if isinstance(value, str) else value
    except (ValueError, ZeroDivisionError):
        return value


Size = Annotated[float, BeforeValidator(_number)]
"""A number, or text such as "8/255"."""


class BudgetParams(Params):
    """How far a perturbation may go."""

    eps: Size = field(8 / 255, ge=0, help="size of the change, where images are in [0, 1]; text such as 8/255 too")
    norm: Norm = field(
        "l-inf", help="of changes: the largest of any channel of a pixel, or the root of the sum of all squares"
    )


@dataclass(frozen=True)
class Budget:
    """What may become of images: within `eps` `[N, 1, 1, 1]` of the clean ones and within [0, 1].

    Where a clean image leaves [0, 1] itself, as a module's own inputs do, so may what becomes of it.
    """

    clean: Tensor
    eps: Tensor
    norm: Norm

    def kept(self, images: Tensor) -> Tensor:
        """Return the closest images within the budget, and then within [0, 1]."""
        change = images - self.clean
        if self.norm == "l-inf":
            change = torch.maximum(torch.minimum(change, self.eps), -self.eps)
        else:
            change = change * (self.eps / length(change).clamp(min=1e-30)).clamp(max=1)
        return torch.maximum(torch.minimum(self.clean + change, self.clean.clamp(min=1)), self.clean.clamp(max=0))

    def step(self, images: Tensor, direction: Tensor, size: Tensor) -> Tensor:
        """Return images a step of `size` `[N, 1, 1, 1]` further along a direction, or its signs for l-inf."""
        if self.norm == "l-inf":
            return self.kept(images + size * direction.sign())
        return self.kept(images + size * direction / length(direction).clamp(min=1e-30))


def length(changes: Tensor) -> Tensor:
    """Return the l2 norm `[N, 1, 1, 1]` of changes `[N, C, H, W]`."""
    norms: Tensor = torch.linalg.vector_norm(changes.flatten(1), dim=1)
    return norms[:, None, None, None]


def sizes(clean: Tensor, images: Tensor) -> dict[str, Tensor]:
    """Return how far images `[S, N, C, H, W]` are from the clean ones in both norms, float64 `[S, N]`."""
    change = (images - clean).double().flatten(2)
    return {"change-l-inf": change.abs().amax(-1), "change-l2": torch.linalg.vector_norm(change, dim=-1)}
