"""The study behind `sam-toolkit demo`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml


def demo_study(images: Path | None = None, limit: int | None = None) -> dict[str, Any]:
    """Return the demo's study as a mapping, on the user's folder of photographs where one is given."""
    study: dict[str, Any] = yaml.safe_load(files("sam_toolkit").joinpath("demo.yaml").read_text(encoding="utf-8"))
    if images is not None:
        study["images"] = {"folder": str(images.absolute())}
    if limit is not None:
        study["images"]["limit"] = limit
    return study
