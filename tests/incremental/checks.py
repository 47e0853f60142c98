"""Incremental occlusion against the whole network, so that no bug can hide."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sam_toolkit.incremental import IncrementalOcclusion, Window

_FILL = 10.0
EFFECT = 1000
"""How many times the tolerance the effect of hiding must be, and that of hiding the wrong pixels."""


def initialised(net: nn.Module, seed: int = 0) -> nn.Module:
    """Return `net` in evaluation mode, with weights and statistics at which logits depend on every pixel."""
    generator = torch.Generator().manual_seed(seed)
    for part in net.modules():
        weight = getattr(part, "weight", None)
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu", generator=generator)
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, std=0.1, generator=generator)
            nn.init.uniform_(part.running_var, 0.5, 1.5, generator=generator)
            nn.init.uniform_(weight, 0.5, 1.2, generator=generator)
        if isinstance(getattr(part, "bias", None), Tensor):
            nn.init.normal_(part.bias, std=0.1, generator=generator)
    return net.eval()


def image_of(size: Sequence[int], dtype: torch.dtype, channels: int = 3) -> Tensor:
    return torch.randn(channels, *size, generator=torch.Generator().manual_seed(5), dtype=dtype)


def grid(size: Sequence[int], patch: int, stride: int) -> list[Window]:
    """Return windows on the stride, with those at the far borders."""
    tops, lefts = ([*range(0, side - patch, stride), side - patch] for side in size)
    return [(y, x, y + patch, x + patch) for y in tops for x in lefts]


def hidden(net: nn.Module, image: Tensor, windows: Sequence[Window], fill: float | Tensor = 0.0) -> Tensor:
    """Return the logits `[W, K]` by copying the image for each window."""
    images = image.repeat(len(windows), 1, 1, 1)
    for one, (y0, x0, y1, x1) in zip(images, windows, strict=True):
        one[:, y0:y1, x0:x1] = fill[:, y0:y1, x0:x1] if isinstance(fill, Tensor) and fill.dim() == 3 else fill
    with torch.no_grad():
        return torch.cat([net(part) for part in images.split(16)])


def require_exact(net: nn.Module, image: Tensor, windows: Sequence[Window], tolerance: float = 1e-5) -> None:
    """Require the whole network's logits, to `tolerance` of their range, and that windows were used to get them.

    The effect of hiding, and of hiding what lies a pixel beside, must be far larger than the tolerance.
    """
    occlusion = IncrementalOcclusion(net)
    assert occlusion.why_dense(image.shape, windows) == ""
    expected, found = hidden(net, image, windows, _FILL), occlusion(image, windows, _FILL)
    spread = float(expected.amax() - expected.amin())
    error = float((found - expected).abs().max()) / spread
    assert error < tolerance
    with torch.no_grad():
        effect = (expected - net(image[None])).abs().amax(dim=1) / spread
    assert float(effect.median()) > EFFECT * tolerance
    assert beside(net, image, windows, found) / spread > EFFECT * tolerance


def beside(net: nn.Module, image: Tensor, windows: Sequence[Window], found: Tensor) -> float:
    """Return how far logits are from those of windows one pixel aside: what a wrong offset would give."""
    height = image.shape[-2]
    moved = [(y0 + (1 if y1 < height else -1), x0, y1 + (1 if y1 < height else -1), x1) for y0, x0, y1, x1 in windows]
    return float((hidden(net, image, moved, _FILL) - found).abs().amax(dim=1).median())
