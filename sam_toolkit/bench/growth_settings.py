"""What the growth of a study's cost is measured over, free of PyTorch for the command line's help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_SIDE, _SAMPLES, _PATCH = 224, 64, 24


@dataclass(frozen=True)
class Point:
    """A study of a small network with random weights, in which `amount` of something is varied.

    Attributes:
        method: an experiment as a study file lists it.
        side: of the images.
        images: how many.
        pairs: whether all pairs of settings are compared, by more metrics.
        threads: of PyTorch; 0: as many as it takes.
    """

    amount: int
    method: dict[str, Any] = field(default_factory=lambda: _smoothgrad((_SAMPLES // 2, _SAMPLES)))
    side: int = _SIDE
    images: int = 1
    pairs: bool = False
    threads: int = 0

    def mapping(self) -> dict[str, Any]:
        """Return the study as its file would have it."""
        names = ["ssim", "hog", "spearman"]
        every = {"with": "all", "metrics": [*names, "top-k-intersection", "lens-recall", "sign-agreement"]}
        return {
            "title": "growth",
            "models": ["small"],
            "methods": [self.method],
            "compare": [{"along": "settings", **(every if self.pairs else {"metrics": names})}],
            "reruns": 0,
            "random-maps": 0,
        }


def _smoothgrad(samples: tuple[int, ...]) -> dict[str, Any]:
    return {"smoothgrad": {"samples": list(samples), "default": {"samples": samples[-1]}}}


def _numbers(count: int) -> tuple[int, ...]:
    """Return so many different numbers of samples, the largest always the same."""
    return tuple(range(2 * _SAMPLES - count + 1, 2 * _SAMPLES + 1))


def _sliding(positions: int) -> Point:
    stride = max(1, (_SIDE - _PATCH) // (positions - 1))
    default = {"patch": _PATCH, "stride": stride}
    return Point(positions**2, {"sliding-patch": {"patch": [_PATCH, 2 * _PATCH], "default": default}})


AXES: dict[str, tuple[str, tuple[int, ...], Callable[[int], Point]]] = {
    "settings": (
        "settings of SmoothGrad: numbers of samples, of which the largest stays 128",
        (2, 8, 32, 100),
        lambda amount: Point(amount, _smoothgrad(_numbers(amount))),
    ),
    "positions": ("positions of each of two patches", (6, 11, 21, 41), _sliding),
    "images": ("photographs", (1, 2, 4, 8), lambda amount: Point(amount, images=amount)),
    "size": ("pixels along a side", (112, 224, 448), lambda amount: Point(amount, side=amount)),
    "comparisons": (
        "settings, of which all pairs are compared by six metrics",
        (10, 50, 100),
        lambda amount: Point(amount, _smoothgrad(_numbers(amount)), pairs=True),
    ),
}
"""By name: what grows, its amounts, and the study for each."""
QUICK = 2
"""Amounts of each that a quick run takes."""
