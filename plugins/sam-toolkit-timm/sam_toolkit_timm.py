"""The classifiers of timm as models."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from math import floor
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from torch import nn

from sam_toolkit import Model, ModelError, ModelSource, Params, Preprocessing, field, hookimpl

SAM_TOOLKIT_INTERFACE = 1
_BUILDER = re.compile(r"^@register_model\s*$\n(?:^@.*\n)*^def (\w+)\(", re.MULTILINE)
_SAID = 300
"""Characters of another library's words that are told: those of weights that do not fit list every tensor."""
_INTERPOLATIONS = ("bilinear", "bicubic", "nearest")


class TimmParams(Params):
    """Which weights a network of timm gets."""

    pretrained: bool = field(True, help="whether it gets published weights, from the cache or the network; else random")
    tag: str = field("", help="which published weights, such as a1_in1k, and so which preprocessing; default: timm's")
    file: Path | None = field(None, help="a .pth or .safetensors file of weights, in place of the published")
    seed: int = field(0, ge=0, help="of random weights")
    classes: int | None = field(None, ge=1, help="number of classes, where it is not that of the published weights")


class TimmModels(ModelSource[TimmParams]):
    """The classifiers of timm by name, with the preprocessing that timm says their weights were tested with."""

    name = "timm"
    reference = "Wightman, PyTorch Image Models, 2019, doi:10.5281/zenodo.4414861"

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of timm's models, sorted; none where it is not installed."""
        return _names()

    def load(self, name: str) -> Model:
        """Return the model, on the CPU; raises ModelError if weights are missing or do not fit."""
        if name not in self.names():
            near = get_close_matches(name, self.names(), n=3)
            hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise ModelError(f"timm has no model {name!r}.{hint}")
        from timm.data import ImageNetInfo, infer_imagenet_subset, resolve_model_data_config  # noqa: PLC0415 - slow

        module = self._built(f"{name}.{self.params.tag}" if self.params.tag else name)
        subset = infer_imagenet_subset(module) if self.params.classes is None else None
        categories = ImageNetInfo(subset).label_descriptions() if subset else ()
        prepared = preprocessing(name, resolve_model_data_config(module))
        return Model(module.eval().requires_grad_(False), name, preprocessing=prepared, categories=categories)

    def _built(self, name: str) -> nn.Module:
        """Return the network with its weights."""
        import timm  # noqa: PLC0415 - slow to import

        asked = self.params
        classes = {} if asked.classes is None else {"num_classes": asked.classes}
        published = asked.pretrained and asked.file is None
        file = "" if asked.file is None else str(asked.file)
        try:
            with _seeded(asked.seed):
                module: nn.Module = timm.create_model(name, pretrained=published, checkpoint_path=file, **classes)
        except Exception as error:  # hubs, readers of files and networks raise all sorts
            what = f"weights {file} in" if file else "published weights of" if published else "random weights of"
            advice = (
                "Let timm download them once where there is a network, give `file`, or say `pretrained: false`."
                if published
                else "See that name, tag, file and classes fit each other."
            )
            raise ModelError(f"timm cannot load {what} {name}: {shorten(str(error), _SAID)} {advice}") from error
        return module


def preprocessing(name: str, config: Mapping[str, Any]) -> Preprocessing:
    """Return timm's data config as a preprocessing; raises ModelError where images cannot be prepared like that."""
    channels, height, width = config["input_size"]
    side = floor(height / config["crop_pct"])
    resize = {"center": side, "squash": (side, side)}.get(config["crop_mode"])
    if height != width or resize is None or config["interpolation"] not in _INTERPOLATIONS:
        raise ModelError(
            f"timm's {name} wants images of {height} x {width} with crop mode {config['crop_mode']!r} and "
            f"interpolation {config['interpolation']!r}; known are squares, 'center' or 'squash', and "
            f"{', '.join(_INTERPOLATIONS)}."
        )
    mean, std = (tuple(map(float, config[key]))[:channels] for key in ("mean", "std"))
    return Preprocessing(crop=height, resize=resize, interpolation=config["interpolation"], mean=mean, std=std)


@cache
def _names() -> tuple[str, ...]:
    """Read the names from timm's source, for importing it takes seconds."""
    package = find_spec("timm")
    if package is None or not package.submodule_search_locations:
        return ()
    files = (Path(package.submodule_search_locations[0]) / "models").glob("*.py")
    return tuple(sorted(name for file in files for name in _BUILDER.findall(file.read_text(encoding="utf-8"))))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw initial weights from `seed`, and leave PyTorch's global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


@hookimpl
def sam_toolkit_components() -> list[type[ModelSource[Any]]]:
    """Return the source of models."""
    return [TimmModels]
