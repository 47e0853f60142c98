"""Small components of every kind, and a host that knows them and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import pytest
import torch
from pydantic import model_validator
from torch import Tensor, nn

from sam_toolkit.component import (
    Component,
    ImageSource,
    MapMetric,
    Method,
    ModelSource,
    PairMetric,
    PairScores,
    Perturbation,
)
from sam_toolkit.errors import SpecError
from sam_toolkit.images import Photo
from sam_toolkit.model import Model
from sam_toolkit.registry import LoadFailure, Registry
from sam_toolkit.rng import Rng
from sam_toolkit.study.resolve import load_study
from sam_toolkit.types import Batch, Params, field


class _Zeros(Method[Any]):
    def maps(self, model: Model, batch: Batch, settings: Sequence[Any], rng: Rng) -> Tensor:
        return torch.zeros(len(settings), *batch.images.shape[:1], *batch.images.shape[2:])

    def rows(self, settings: Sequence[Any], shape: tuple[int, int, int]) -> int:
        return 0


class PlainParams(Params):
    channels: Literal["mean", "abs-sum", "abs-max"] = field("mean", help="how channels become one value")


class Plain(_Zeros, Method[PlainParams]):
    name = "gradient"


class SmoothParams(Params):
    samples: int = field(25, ge=1, le=1000, help="noisy copies")
    spread: float = field(0.15, gt=0, help="noise, of the range")
    nested: bool = field(True, help="whether more samples contain fewer")


class Smooth(_Zeros, Method[SmoothParams]):
    name = "smoothgrad"


class PatchParams(Params):
    patch: int = field(29, ge=1, help="side")
    stride: int = field(8, ge=1, help="step")
    fill: Literal["mean", "black"] | float | tuple[float, float, float] | Path = field("mean", help="what hides")
    colour: tuple[int, int, int] = field((0, 0, 0), help="frame")

    @model_validator(mode="after")
    def _stride_covers(self) -> Self:
        if self.stride > self.patch:
            raise ValueError(f"stride {self.stride} leaves gaps between patches of {self.patch}")
        return self


class Patch(_Zeros, Method[PatchParams]):
    name = "sliding-patch"


class ConceptParams(Params):
    bank: Path = field(help="file of concepts")


class Concept(_Zeros, Method[ConceptParams]):
    name = "concept"


class NoiseParams(Params):
    sigma: float = field(0.1, gt=0, help="standard deviation")
    seed: int = field(0, ge=0, help="of the noise")


class Noise(Perturbation[NoiseParams]):
    name = "gaussian-noise"

    def images(self, model: Model, batch: Batch, settings: Sequence[NoiseParams], rng: Rng) -> Tensor:
        return batch.images.expand(len(settings), *batch.images.shape)


class _Same(PairMetric[Any]):
    def compare(self, prepared: Any, pairs: Tensor, settings: Sequence[Any]) -> PairScores:
        return PairScores(torch.ones(len(settings), len(pairs), prepared.shape[1], dtype=torch.float64))


class WindowParams(Params):
    window: int = field(7, ge=3, help="side of the window")
    gaussian: bool = field(False, help="whether the window is weighted")


class Windowed(_Same, PairMetric[WindowParams]):
    name = "ssim"


class Rank(_Same, PairMetric[Params]):
    name = "spearman"


class Gradients(_Same, PairMetric[Params]):
    name = "hog"


class _Zero(MapMetric[Any]):
    def score(self, model: Model, batch: Batch, maps: Tensor, settings: Sequence[Any], rng: Rng) -> Tensor:
        return torch.zeros(len(settings), *maps.shape[:2], dtype=torch.float64)


class StepParams(Params):
    steps: int = field(100, ge=2, help="points of the curve")


class Insertion(_Zero, MapMetric[StepParams]):
    name = "insertion"


class Deletion(_Zero, MapMetric[StepParams]):
    name = "deletion"


class Pointing(_Zero, MapMetric[Params]):
    name = "pointing-game"


class _Linear(ModelSource[Any]):
    def load(self, name: str) -> Model:
        return Model(nn.Linear(1, 1), name)


class Lite(_Linear, ModelSource[Params]):
    name = "lite"

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return ("efficientnet-lite0", "shared-net")


class ZooParams(Params):
    weights: Literal["published"] | Path = field("published", help="a file, or the published ones")
    classes: int | None = field(None, ge=1, help="number of classes")


class Zoo(_Linear, ModelSource[ZooParams]):
    name = "zoo"

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return ("resnet50", "resnet18", "shared-net")


class Anything(_Linear, ModelSource[Params]):
    name = "anything"

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return ()


class FolderParams(Params):
    folder: Path = field(help="folder of image files")
    boxes: Path | None = field(None, help="table of boxes")
    endings: tuple[str, ...] = field((".jpg",), help="of image files")


class Folder(ImageSource[FolderParams]):
    name = "folder"

    def photos(self) -> Sequence[Photo]:
        return ()


class Bundled(ImageSource[Params]):
    name = "bundled"

    def photos(self) -> Sequence[Photo]:
        return ()


class ToyPlugin:
    """Gives the host what is named here."""

    def __init__(self, *components: type[Component[Any]]) -> None:
        self.components = components

    def sam_toolkit_components(self) -> Sequence[type[Component[Any]]]:
        return self.components


def toy_registry(broken: bool = False) -> Registry:
    """Return a host with the components above; `broken` adds a plugin that could not be loaded."""
    registry = Registry()
    registry.register(
        ToyPlugin(
            *(Plain, Smooth, Patch, Concept, Noise, Windowed, Rank, Gradients),
            *(Insertion, Deletion, Pointing, Lite, Zoo, Anything, Folder, Bundled),
        ),
        "toys",
    )
    if broken:
        registry.failures.append(LoadFailure("sam-wavelets", "sam-wavelets 0.3", "ImportError: no pywt"))
    return registry


def refusal(text: str, folder: Path, registry: Registry | None = None) -> str:
    """Return what is said of a study file with this text, which must be refused."""
    file = folder / "study.yaml"
    file.write_text(text)
    with pytest.raises(SpecError) as refused:
        load_study(file, registry or toy_registry())
    return str(refused.value).replace(f"{folder}/", "")
