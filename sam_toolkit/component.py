"""The contracts of every component: a component is given a group of settings and returns a stack.

A single setting is a group of one. `sam_toolkit.testing` has the checks that hold a component to its contract.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from torch import Tensor, nn

from sam_toolkit.base import Component, Grouped
from sam_toolkit.bounding import Chain, Explained, Kept
from sam_toolkit.errors import ComponentError
from sam_toolkit.images import Photo
from sam_toolkit.model import Model
from sam_toolkit.pairing import Grid, PairScores, compare_all, compare_two, grid_of
from sam_toolkit.promises import MapFacts, Work
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch, Params

if TYPE_CHECKING:
    from sam_toolkit.study.results import Results

__all__ = [
    "KINDS", "Component", "ImageSource", "MapFacts", "MapMetric", "Method", "ModelPerturbation", "ModelSource",
    "PairMetric", "PairScores", "Perturbation", "Perturbed", "Reporter", "Work",
]  # fmt: skip

P = TypeVar("P", bound=Params)


class Method(Grouped[P]):
    """An attribution method: images and targets in, one float32 map `[H, W]` an image out."""

    kind = "method"
    gradients: ClassVar[bool] = False
    """Whether a network row is a forward and a backward pass (for estimates of time)."""

    @abstractmethod
    def maps(self, model: Model, batch: Batch, settings: Sequence[P], rng: Rng) -> Tensor:
        """Return maps `[S, N, H, W]` of settings that agree in every field but those that `shares` names."""

    def explained(self, model: Model, batch: Batch, settings: Sequence[P], rng: Rng) -> Explained:
        """Return what `maps` does, at the same cost, with what `bounds` needs of each map later."""
        return Explained(self.maps(model, batch, settings, rng))

    def bounds(self, before: Kept, after: Kept, reruns: Sequence[tuple[Kept, Kept]], rng: Rng) -> Chain | None:
        """Return how far an attribution moved and can move between two maps of one photograph; None: nothing is known.

        Args:
            before: what was kept beside one map.
            after: beside the other.
            reruns: pairs of maps that differ in nothing but the draw, for the floor.
            rng: the one that the maps were computed with.
        """
        return None

    @abstractmethod
    def rows(self, settings: Sequence[P], shape: tuple[int, int, int]) -> int:
        """Return the network rows that `maps` costs an image of `shape` (C, H, W)."""

    def facts(self, params: P) -> MapFacts:
        """Return what holds for every map of this setting."""
        return MapFacts()

    def work(self, model: Model, settings: Sequence[P], shape: tuple[int, int, int]) -> Work:
        """Return what the `rows` of an image of `shape` (C, H, W) cost on `model`, for plans; no row is computed."""
        return Work()

    def differentiable(self, params: P) -> bool:
        """Return whether maps have a gradient at images that require one, as attacks need.

        They have where all but the calls of `model` is done in operations of PyTorch that have gradients.
        """
        return False

    def grid(self, params: P, size: tuple[int, int]) -> tuple[int, int]:
        """Return the resolution (rows, columns) at which the map of an image of `size` (H, W) is computed."""
        return size

    def __call__(
        self,
        model: Model | nn.Module,
        images: Tensor,
        targets: Tensor | Sequence[int] | int | None = None,
        seed: int = 0,
    ) -> Tensor:
        """Return maps `[N, H, W]` of images `[N, C, H, W]`; targets default to the predicted classes.

        A bare module takes the images as they are. Raises ModelError and ComponentError on inputs that do not fit.
        """
        model = Model.of(model)
        if targets is None:
            targets = model.predict(images)
        batch = Batch.of(images, targets)
        model.check(batch)
        return self.maps(model, batch, [self.params], Rng(seed).child(self.name))[0]


@dataclass(frozen=True)
class Perturbed:
    """Changed images `[S, N, C, H, W]`, and named numbers beside each, float64 `[S, N]`, NaN where undefined."""

    images: Tensor
    extras: Mapping[str, Tensor] = field(default_factory=dict)


class Perturbation(Grouped[P]):
    """A change of the input: noise, an attack, a shift."""

    kind = "perturbation"

    @abstractmethod
    def images(self, model: Model, batch: Batch, settings: Sequence[P], rng: Rng) -> Tensor:
        """Return changed images `[S, N, C, H, W]`, in the space of `batch.images`."""

    def perturbed(self, model: Model, batch: Batch, settings: Sequence[P], rng: Rng) -> Perturbed:
        """Return what `images` does, with numbers beside each image that reports show, such as an attack's success."""
        return Perturbed(self.images(model, batch, settings, rng))

    def controls(self, params: P) -> tuple[Perturbation[Any], ...]:
        """Return what a study runs beside this setting, such as random noise of an attack's size."""
        return ()

    def rows(self, settings: Sequence[P], shape: tuple[int, int, int]) -> int:
        """Return the network rows that `perturbed` costs an image of `shape` (C, H, W) at most."""
        return 0

    def __call__(
        self, images: Tensor, model: Model | nn.Module | None = None, targets: Any = 0, seed: int = 0
    ) -> Tensor:
        """Return changed images `[N, C, H, W]`; `model` and `targets` matter to attacks only."""
        batch = Batch.of(images, targets)
        return self.images(Model.of(model or nn.Identity()), batch, [self.params], Rng(seed).child(self.name))[0]


class ModelPerturbation(Grouped[P]):
    """A change of the network: noise on its weights, random weights, those of another training."""

    kind = "model-perturbation"

    @abstractmethod
    def models(self, model: Model, settings: Sequence[P], rng: Rng) -> list[Model]:
        """Return one changed model a setting, of the same classes and preprocessing; `model` stays as it is."""

    def __call__(self, model: Model | nn.Module, seed: int = 0) -> Model:
        """Return the changed model; a bare module takes its inputs as they are."""
        return self.models(Model.of(model), [self.params], Rng(seed).child(self.name))[0]


class PairMetric(Grouped[P]):
    """A similarity of two maps of one image; 1 for equal maps.

    By hand, a list gives several values to a field, and results a dimension L of its length, in the order of the lists.
    """

    kind = "pair-metric"
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    symmetric: ClassVar[bool] = True
    """Whether the order of a pair's two maps makes no difference."""

    def __init__(self, params: P | None = None, /, **fields: Any) -> None:
        """Hold one setting, given whole, or those of every combination of listed values."""
        self.grid: Grid[P] = grid_of(self.setting, fields) if params is None else Grid((params,))
        super().__init__(self.grid.settings[0])

    def for_range(self, params: P, low: float, high: float) -> P:
        """Return the setting for maps with values in [low, high], where a parameter was left open."""
        return params

    def keeps_identity(self, params: P) -> bool:
        """Return whether equal maps give the upper bound; conventions of somebody's original code may not let them."""
        return True

    def prepare(self, maps: Tensor, settings: Sequence[P]) -> Any:
        """Return whatever is computed once a map, from maps `[K, N, H, W]`: statistics, ranks, descriptors."""
        return maps

    @abstractmethod
    def compare(self, prepared: Any, pairs: Tensor, settings: Sequence[P]) -> PairScores:
        """Return the similarity of each pair of maps, `pairs` int64 `[P, 2]`, as values `[S, P, N]`."""

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the similarity `[*L, N]` of maps `[N, H, W]` (`[*L]` for `[H, W]`); never scales them."""
        return self.scores(a, b).values

    def scores(self, a: Tensor, b: Tensor) -> PairScores:
        """Return what a call does, with its extras in the same shape."""
        return compare_two(self, a, b)

    def matrix(self, maps: Tensor) -> Tensor:
        """Return the similarity `[*L, K, K]` of every pair of maps `[K, H, W]`."""
        return compare_all(self, maps)


class MapMetric(Grouped[P]):
    """An accuracy of a map: insertion, deletion, localisation, pointing game."""

    kind = "map-metric"
    higher_is_better: ClassVar[bool] = True
    needs_boxes: ClassVar[bool] = False

    def __call__(
        self,
        maps: Tensor,
        images: Tensor,
        model: Model | nn.Module | None = None,
        targets: Any = None,
        boxes: Any = None,
    ) -> Tensor:
        """Return the score `[N]` of maps `[N, H, W]` of images `[N, C, H, W]`, with boxes as in `Batch`; never scales.

        Targets default to the predicted classes. Raises ModelError and ComponentError on inputs that do not fit.
        """
        network = Model.of(model or nn.Identity())
        if targets is None:
            targets = 0 if model is None else network.predict(images)
        batch = replace(Batch.of(images, targets), boxes=boxes)
        if model is not None:
            network.check(batch)
        if maps.shape != (len(batch), *images.shape[-2:]):
            raise ComponentError(f"{type(self).__name__} scores one map [H, W] an image; got {list(maps.shape)}.")
        return self.score(network, batch, maps[None], [self.params], Rng().child(self.name))[0, 0]

    @abstractmethod
    def score(self, model: Model, batch: Batch, maps: Tensor, settings: Sequence[P], rng: Rng) -> Tensor:
        """Return the score of maps `[M, N, H, W]` as float64 `[S, M, N]`; NaN where an image has no annotation."""

    def rows(self, settings: Sequence[P], maps: int, shape: tuple[int, int, int]) -> int:
        """Return the network rows that scoring `maps` maps costs an image of `shape` (C, H, W)."""
        return 0


class ModelSource(Component[P]):
    """Where classifiers come from: a package's weights, torchvision's zoo, a file of the user's."""

    kind = "model-source"

    @classmethod
    @abstractmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the models that it serves, without importing what it takes to load one."""

    @abstractmethod
    def load(self, name: str) -> Model:
        """Return the model, on the CPU; raises ModelError that says what is missing and how to get it."""


class ImageSource(Component[P]):
    """Where images come from; the study file says `{<name of the source>: ..., <its other fields>}`."""

    kind = "image-source"

    @abstractmethod
    def photos(self) -> Sequence[Photo]:
        """Return the photographs in a stable order; raises ImageError before any work is done."""


class Reporter(Component[P]):
    """Writes the results of a study for people or for programs."""

    kind = "reporter"

    @abstractmethod
    def write(self, results: Results, folder: Path) -> list[Path]:
        """Write into `folder` and return the files written, the one to open first in front."""


KINDS: tuple[type[Component[Any]], ...] = (
    Method, Perturbation, ModelPerturbation, PairMetric, MapMetric, ModelSource, ImageSource, Reporter,
)  # fmt: skip
"""The kinds of component that a plugin may add."""
