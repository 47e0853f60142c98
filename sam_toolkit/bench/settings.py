"""What a benchmark varies, and its defaults; free of PyTorch, for the command line's help."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

from sam_toolkit.errors import BenchError

OPERATORS = ("ssim", "occlusion", "lens", "similarity")
DTYPES = ("float32", "float64", "float16", "bfloat16")
WINDOWS = {"5": 5, "7": 7, "gaussian": 11}
"""Names of the windows and their sides in pixels; the Gaussian has a sigma of 1.5."""

_QUICK: dict[str, Any] = {
    "maps": (10,),
    "growth": (10, 20),
    "windows": ("5", "gaussian"),
    "peer_pairs": 16,
    "rounds": 5,
}


@dataclass(frozen=True)
class Settings:
    """What to measure; every combination of the plural fields is a case of its own."""

    operators: tuple[str, ...] = OPERATORS
    maps: tuple[int, ...] = (50,)
    growth: tuple[int, ...] = (10, 20, 50, 100, 200)
    sizes: tuple[int, ...] = (224,)
    windows: tuple[str, ...] = tuple(WINDOWS)
    dtypes: tuple[str, ...] = ("float32",)
    threads: tuple[int, ...] = (0,)
    patch: int = 16
    stride: int = 16
    peer_pairs: int = 96
    rounds: int = 9
    device: str = "cpu"

    def __post_init__(self) -> None:
        if min((*self.maps, *self.growth)) < 2:
            raise BenchError(f"bench: a pair takes 2 maps; got {min((*self.maps, *self.growth))}.")
        smallest, largest = min(self.sizes), max(WINDOWS[name] for name in self.windows)
        if "ssim" in self.operators and smallest < largest:
            raise BenchError(f"bench: --size must be at least the window, {largest}; got {smallest}.")
        if "occlusion" in self.operators and not self.stride <= self.patch < smallest:
            rule = f"--stride <= --patch < --size must hold; got {self.stride}, {self.patch} and {smallest}"
            raise BenchError(f"bench: {rule}.")
        if not re.fullmatch(r"cpu|cuda(:\d+)?", self.device):
            raise BenchError(f"bench: --device must be cpu, cuda or cuda:NUMBER; got {self.device}.")
        if self.device == "cpu" and {"float16", "bfloat16"} & set(self.dtypes):
            raise BenchError(f"bench: half precision needs --device cuda; got --dtype {', '.join(self.dtypes)}.")

    @classmethod
    def of(cls, quick: bool, **chosen: Any) -> Settings:
        """Return the defaults, or quick ones, with all that is chosen: what is neither None nor empty."""
        given = {
            name: tuple(dict.fromkeys(value)) if isinstance(value, tuple) else value for name, value in chosen.items()
        }
        return cls(**{**(_QUICK if quick else {}), **{name: value for name, value in given.items() if value}})

    def as_json(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
