"""The classes that a model sees in photographs, as a file that `select` and `labels` of a folder read."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import torch

from sam_toolkit.images import Photo
from sam_toolkit.model import Model


def write_predictions(path: Path, model: Model, photos: Sequence[Photo]) -> None:
    """Write a .csv file (file,class) of the class that the model predicts for each photograph.

    The file is complete or not there at all. Raises ImageError where a photograph cannot be read.
    """
    remaining, rows = iter(photos), []
    while some := list(islice(remaining, model.chunk)):
        classes = model.predict(torch.stack([model.image(photo) for photo in some])).tolist()
        rows += [(photo.name, label) for photo, label in zip(some, classes, strict=True)]
    unfinished = path.with_name(f"{path.name}.tmp")
    with unfinished.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("file", "class"), *rows])
    os.replace(unfinished, path)
