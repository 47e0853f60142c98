"""Which images of a folder a study takes: by name, by what models get right, and by drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sam_toolkit.errors import ImageError
from sam_toolkit.sources.annotations import Names, read_labels, read_text
from sam_toolkit.types import Params, field

_SHOWN = 3


class SelectParams(Params):
    """The steps of a selection, in order: each goes on with what the one before left."""

    names: Path | None = field(None, help="text file of images, one a line: these, in that order")
    correct: tuple[Path, ...] = field(
        (), help="files of predicted classes, written like labels; images stay that all of them get right"
    )
    draw: int | None = field(None, ge=1, help="images drawn from those, in the order drawn")
    seed: int = field(0, ge=0, lt=2**32, help="of the drawing, by NumPy's permutation")
    then_correct: tuple[Path, ...] = field(
        (), help="as `correct`, but of the images drawn; those that are left out are not replaced"
    )

    @property
    def judges(self) -> bool:
        """Return whether predictions are compared with labels."""
        return bool(self.correct or self.then_correct)


def selected(select: SelectParams, names: Names, labels: Mapping[str, int]) -> tuple[str, ...]:
    """Return the images that the steps of `select` leave, in their order.

    With the predictions of three models in `correct`, 2,000 images to draw, seed 0, and the fourth model's
    predictions in `then_correct`, these are the 1,735 images of Bansal et al. (CVPR 2020).
    Raises ImageError where a file is wrong, an image has no label or prediction, or too few are left.
    """
    kept = names.names if select.names is None else _listed(select.names, names)
    kept = _right(kept, select.correct, names, labels)
    if select.draw is not None:
        kept = _drawn(kept, select.draw, select.seed)
    kept = _right(kept, select.then_correct, names, labels)
    if not kept:
        raise ImageError(f"`select` leaves none of the {len(names.names)} images in {names.folder}.")
    return kept


def _listed(path: Path, names: Names) -> tuple[str, ...]:
    lines: dict[str, int] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            name = names.find(line, f"{path}, line {number}")
            if name in lines:
                raise ImageError(f"{path}, line {number}: {name!r} stands already in line {lines[name]}.")
            lines[name] = number
    return tuple(lines)


def _right(kept: Sequence[str], files: Sequence[Path], names: Names, labels: Mapping[str, int]) -> tuple[str, ...]:
    """Return the images whose label every file of predictions gives."""
    for path in files:
        predicted = read_labels(path, names)
        _require(kept, labels, "label, so that no prediction can be right")
        _require(kept, predicted, f"prediction in {path}")
        kept = [name for name in kept if predicted[name] == labels[name]]
    return tuple(kept)


def _require(kept: Sequence[str], known: Mapping[str, int], what: str) -> None:
    without = [name for name in kept if name not in known]
    if without:
        shown = ", ".join(map(repr, without[:_SHOWN]))
        more = f" and {len(without) - _SHOWN} more" if len(without) > _SHOWN else ""
        raise ImageError(f"{len(without)} of {len(kept)} images have no {what}: {shown}{more}.")


def _drawn(kept: Sequence[str], count: int, seed: int) -> tuple[str, ...]:
    if count > len(kept):
        raise ImageError(f"`select` cannot draw {count} images of the {len(kept)} that its steps before leave.")
    # The generator whose draws NumPy promised never to change, and by which the paper's images were drawn.
    order = np.random.RandomState(seed).permutation(len(kept))
    return tuple(kept[index] for index in order[:count])
