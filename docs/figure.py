"""Draws the README's figure from a finished run of the demo: `.venv/bin/python -m docs.figure runs/demo`."""

from __future__ import annotations

import sys
from pathlib import Path

from sam_toolkit.reports.figures import strip_png
from sam_toolkit.study.saved import load

METHOD, FACTOR, IMAGE = "sliding-patch", "patch", "coffee"


def main(folder: Path) -> None:
    """Write docs/images/strip.png: one photograph's maps along one hyperparameter."""
    wanted = (METHOD, FACTOR, IMAGE)
    strip = next(item for item in load(folder).strips if (item.method, item.factor, item.image) == wanted)
    Path(__file__).parent.joinpath("images", "strip.png").write_bytes(strip_png(strip))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
