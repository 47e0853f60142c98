"""A study that runs in a second: a small net on random images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from nets import colour_net

from sam_toolkit import run
from sam_toolkit.study.results import Results

STUDY: dict[str, Any] = {
    "title": "small",
    "seed": 3,
    "models": ["net"],
    "inputs": ["clean", {"gaussian-noise": {"sigma": 0.1}}],
    "methods": [
        "gradient",
        {
            "smoothgrad": {
                "samples": [2, 4, 6],
                "spread": [0.1, 0.2],
                "default": {"samples": 4, "spread": 0.1},
            }
        },
        {"sliding-patch": {"patch": [4, 8, 16], "stride": 8, "default": {"patch": 8}}},
    ],
    "compare": [
        {"along": "settings", "with": "default", "metrics": ["ssim", "spearman"]},
        {"along": "inputs", "with": "clean", "metrics": ["ssim", "spearman"]},
    ],
}


def images(count: int = 3) -> torch.Tensor:
    """Return `count` random images."""
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def small_run(folder: Path, changes: dict[str, Any] | None = None, **options: Any) -> Results:
    """Run the small study, with other entries where `changes` has them."""
    given = {"models": {"net": colour_net()}, "images": images(), **options}
    return run({**STUDY, **(changes or {})}, folder, **given)
