"""The contracts of model sources, image sources and reporters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from sam_toolkit.component import ImageSource, ModelSource, Reporter
from sam_toolkit.errors import SamError
from sam_toolkit.images import Photo, stored_size
from sam_toolkit.model import Model
from sam_toolkit.registry import default_registry
from sam_toolkit.study.execute import run_study
from sam_toolkit.study.resolve import load_study
from sam_toolkit.study.results import Results
from sam_toolkit.study.saved import to_json
from sam_toolkit.testing.declarations import check_declarations
from sam_toolkit.testing.examples import small_batch, small_model
from sam_toolkit.testing.settings import class_and_setting
from sam_toolkit.testing.verdict import require
from sam_toolkit.types import tensor_digest

_NOBODYS = "no-model-is-called-this"


def check_model_source(source: type[ModelSource[Any]] | ModelSource[Any], name: str | None = None) -> None:
    """Raise ConformanceError where a source of models breaks its contract; loads `name`, or else its first, twice."""
    component, setting = class_and_setting(source)
    check_declarations(component)
    who, names = component.__name__, component.names()
    listed = isinstance(names, tuple) and bool(names) and all(isinstance(each, str) and each for each in names)
    require(listed, f"{who}.names", f"returns {names!r}.", "Return a tuple of the names that it serves.")
    twice = sorted({each for each in names if names.count(each) > 1})
    require(not twice, f"{who}.names", f"names {twice} twice.", "Each model has one name.")
    first, second = (component(setting).load(name or names[0]) for _ in range(2))
    require(isinstance(first, Model), f"{who}.load", f"returns {type(first).__name__}.", "Return a sam_toolkit.Model.")
    require(str(first.device) == "cpu", f"{who}.load", f"loads on {first.device}.", "Load on the CPU: studies move it.")
    same = first.fingerprint == second.fingerprint
    require(same, f"{who}.load", "gives other weights each time.", "Load them, or draw them from a fixed seed.")
    _check_refusal(component(setting), f"{who}.load")


def _check_refusal(source: ModelSource[Any], who: str) -> None:
    advice = "Raise ModelError that says what is missing and how to get it."
    try:
        source.load(_NOBODYS)
    except SamError:
        return
    except Exception as error:  # noqa: BLE001 - whatever it raises is what is told
        require(False, who, f"raises {type(error).__name__} for a name that it does not serve.", advice)
    require(False, who, "loads a model of a name that it does not serve.", advice)


def check_image_source(source: type[ImageSource[Any]] | ImageSource[Any]) -> None:
    """Raise ConformanceError where a source of images breaks its contract; reads the photographs' headers twice."""
    component, setting = class_and_setting(source)
    check_declarations(component)
    who = f"{component.__name__}.photos"
    first, second = (component(setting).photos() for _ in range(2))
    require(bool(first), who, "finds no photograph.", "Raise ImageError that says where it looked.")
    wrong = [type(photo).__name__ for photo in first if not isinstance(photo, Photo)]
    require(not wrong, who, f"returns a {wrong[:1]}.", "Return sam_toolkit.Photo, such as Photo.of_file(path).")
    names = [photo.name for photo in first]
    twice = sorted({each for each in names if names.count(each) > 1})
    require(not twice, who, f"calls several photographs {twice[:1]}.", "Names are unique.")
    same = [photo.digest for photo in first] == [photo.digest for photo in second]
    require(same, who, "returns other photographs, or another order, the second time.", "Sort what a folder lists.")
    for photo in first:
        _check_photo(photo, who)


def _check_photo(photo: Photo, who: str) -> None:
    if isinstance(photo.source, Tensor):
        image = photo.source
        fits = image.dim() == 3 and image.dtype == torch.float32 and bool(torch.isfinite(image).all())
        require(fits, who, f"{photo.name!r} is {image.dtype} {list(image.shape)}.", "A tensor is float32 [C, H, W].")
    else:
        stored_size(photo.source)
    label = photo.label
    sensible = label is None or (type(label) is int and label >= 0)
    require(sensible, who, f"{photo.name!r} has label {label!r}.", "A label is a class's index, or None.")


def check_reporter(reporter: type[Reporter[Any]] | Reporter[Any], results: Results | None = None) -> None:
    """Raise ConformanceError where a reporter breaks its contract; writes `results`, or else `small_results()`."""
    component, setting = class_and_setting(reporter)
    check_declarations(component)
    who, found = f"{component.__name__}.write", results or small_results()
    before = to_json(found)
    with TemporaryDirectory() as name:
        folder = Path(name) / "report"
        first = component(setting).write(found, folder)
        advice = "Return the paths of the files written into the folder, the one to open first in front."
        written = isinstance(first, Sequence) and bool(first) and all(isinstance(path, Path) for path in first)
        require(written, who, f"returns {first!r}.", advice)
        for path in first:
            require(path.is_file(), who, f"names {path.name}, which is no file.", advice)
            require(path.is_relative_to(folder), who, f"writes {path}, outside {folder}.", advice)
        again = component(setting).write(found, folder)
        require(again == first, who, "writes other files the second time.", "Write over what is there.")
    require(to_json(found) == before, who, "changes the results.", "They are everybody's: copy what you change.")


def small_results() -> Results:
    """Return the results of a study of `small_model()` on `small_batch()`, which takes about a second."""
    batch = small_batch()
    photos = [
        Photo(f"photo {number}", image, tensor_digest(image), int(target))
        for number, (image, target) in enumerate(zip(batch.images, batch.targets, strict=True))
    ]
    study = {
        "title": "small",
        "methods": ["gradient", {"smoothgrad": {"samples": [4, 2, 8], "default": {"samples": 4}}}],
        "inputs": ["clean", "gaussian-noise"],
        "accuracy": ["deletion"],
    }
    loaded = load_study(study, default_registry(plugins=False), models={"small": small_model()}, photos=photos)
    with TemporaryDirectory() as folder:
        return run_study(loaded, Path(folder), device="cpu")
