"""torchmetrics' structural similarity, in its functional form."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from sam_toolkit import ops


@dataclass(frozen=True)
class _Choices:
    """The arguments of torchmetrics' function besides the images, with its defaults."""

    gaussian_kernel: bool = True
    sigma: Any = 1.5
    kernel_size: Any = 11
    reduction: str | None = "elementwise_mean"
    data_range: Any = None
    k1: float = 0.01
    k2: float = 0.03
    return_full_image: bool = False
    return_contrast_sensitivity: bool = False

    @property
    def window(self) -> int:
        """Return the side of the window."""
        return 2 * int(3.5 * self.sigma + 0.5) + 1 if self.gaussian_kernel else int(self.kernel_size)

    def known(self, preds: Tensor, target: Tensor) -> bool:
        """Return whether the operator computes what is asked."""
        numbers = isinstance(self.sigma, int | float) and isinstance(self.kernel_size, int)
        if not numbers or self.sigma <= 0 or (self.k1, self.k2) != (0.01, 0.03) or self.return_contrast_sensitivity:
            return False
        images = preds.dim() == 4 and preds.shape == target.shape and preds.dtype in (torch.float32, torch.float64)
        odd = self.kernel_size % 2 == 1 and self.kernel_size > 0
        return images and odd and self.window >= 3 and self.window // 2 < min(preds.shape[2:])


_REDUCTIONS: dict[str | None, Callable[[Tensor], Tensor]] = {
    "elementwise_mean": torch.mean,
    "sum": torch.sum,
    "none": lambda values: values,
    None: lambda values: values,
}


def structural_similarity_index_measure(preds: Tensor, target: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Return what `torchmetrics.functional.image.structural_similarity_index_measure` does, for the same arguments.

    Images `[B, C, H, W]` of float32 or float64 go to the compiled operator, with their gradients. Volumes, windows that
    are not square, other constants, the contrast alone, and what is to be refused go to torchmetrics.
    """
    choices = _Choices(*args, **kwargs)
    target = target.to(preds.dtype)
    data_range = _range(preds, target, choices)
    if not choices.known(preds, target) or choices.reduction not in _REDUCTIONS or not data_range > 0:
        theirs = importlib.import_module("torchmetrics.functional.image").structural_similarity_index_measure
        return theirs(preds, target, *args, **kwargs)
    if isinstance(choices.data_range, tuple):
        preds, target = preds.clamp(*choices.data_range), target.clamp(*choices.data_range)
    border = choices.window // 2
    maps = torch.stack([pad(image, (border,) * 4, mode="reflect") for image in (preds, target)], dim=2)
    shape = (None, choices.sigma) if choices.gaussian_kernel else (choices.window, False)
    rest = (torch.tensor([[0, 1]], device=preds.device), *shape, data_range, False)
    reduce = _REDUCTIONS[choices.reduction]
    if not choices.return_full_image:
        return reduce(ops.ssim(maps.flatten(0, 1), *rest)[:, 0].view(preds.shape[:2]).mean(dim=1))
    whole = ops.ssim_map(maps.flatten(0, 1), *rest)[:, 0].view(preds.shape)
    return reduce(whole.flatten(1).mean(dim=1)), whole


def _range(preds: Tensor, target: Tensor, choices: _Choices) -> float:
    """Return the data range, which torchmetrics takes from the images where it is not given."""
    if choices.data_range is None:
        spans = [float(image.detach().max() - image.detach().min()) for image in (preds, target)]
        return max(spans)
    given = choices.data_range
    return float(given[1] - given[0]) if isinstance(given, tuple) else float(given)
