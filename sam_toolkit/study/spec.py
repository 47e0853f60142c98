"""A study as it is after every check: components found, hyperparameters validated, values expanded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sam_toolkit.component import (
    ImageSource,
    MapMetric,
    Method,
    ModelPerturbation,
    ModelSource,
    PairMetric,
    Perturbation,
)
from sam_toolkit.images import Photo
from sam_toolkit.model import Model, Precision
from sam_toolkit.types import Params

Axis = Literal["settings", "inputs", "models"]

CLEAN = "clean"
"""The input that nothing was done to."""

ORIGINAL = "original"
"""The model that nothing was done to."""


@dataclass(frozen=True)
class ModelUse:
    """A model of the study: from a source, or given through the API.

    Attributes:
        name: what the study and its report call it, unique.
        model: what the source calls it.
        source: the source with its setting, or the model itself.
        original: name of the model that this is a changed copy of; empty for one as it comes.
        perturbation: what changes it.
    """

    name: str
    model: str
    source: ModelSource[Any] | Model
    original: str = ""
    perturbation: ModelPerturbation[Any] | None = None


@dataclass(frozen=True)
class ImagesUse:
    """The photographs of the study: from a source, at most `limit`, or given through the API."""

    source: ImageSource[Any] | tuple[Photo, ...]
    limit: int | None = None


@dataclass(frozen=True)
class InputUse:
    """An input variant, by a name such as "gaussian-noise sigma=0.1"; `perturbation` is None for the clean one."""

    name: str
    perturbation: type[Perturbation[Any]] | None = None
    params: Params | None = None


@dataclass(frozen=True)
class MethodUse:
    """An experiment: a method and the settings that it varies.

    Attributes:
        index: position in the study file.
        default: the setting that others are compared with.
        axes: swept field to its values, in the order of the file; the default's value is among them.
        settings: all settings, the default first, without repeats: one at a time around the default, or the product.
        grid: whether it is the product.
    """

    index: int
    method: type[Method[Any]]
    default: Params
    axes: Mapping[str, tuple[Any, ...]]
    settings: tuple[Params, ...]
    grid: bool = False


@dataclass(frozen=True)
class MetricUse:
    """A pair metric with the settings that the study asks for (a product where several fields list values).

    A setting holds the treatment of the maps too: `sam_toolkit.study.treatment.treated`.
    """

    metric: type[PairMetric[Any]]
    settings: tuple[Params, ...]


@dataclass(frozen=True)
class AccuracyUse:
    """A map metric with the settings that the study asks for."""

    metric: type[MapMetric[Any]]
    settings: tuple[Params, ...]


@dataclass(frozen=True)
class Comparison:
    """What is compared: maps of an experiment with its reference map, or all pairs of them with each other.

    Attributes:
        axis: what the two maps differ in: settings (the reference is the default), inputs (the clean one), or models.
        pairs: whether all pairs are compared; of settings, those that differ in one hyperparameter.
        twins: along models, by name of a model: the one whose maps are its references.
        methods: names of the methods whose experiments take part; None: all.
        reference: along models, the experiment whose default map is the reference, instead of the same setting's.
    """

    axis: Axis
    metrics: tuple[MetricUse, ...]
    pairs: bool = False
    twins: Mapping[str, str] = field(default_factory=dict)
    methods: tuple[str, ...] | None = None
    reference: MethodUse | None = None

    @property
    def along(self) -> str:
        """Return what results call it: "settings", "pairs of settings", "models, from gradient"."""
        against = f", from {self.reference.method.name}" if self.reference else ""
        return f"{'pairs of ' if self.pairs else ''}{self.axis}{against}"

    def covers(self, use: MethodUse) -> bool:
        """Return whether an experiment takes part."""
        return self.methods is None or use.method.name in self.methods


@dataclass(frozen=True)
class Study:
    """Everything that a run needs; picklable, so that workers get it whole.

    Attributes:
        title: file name without its ending, or as given.
        reruns: other seeds whose maps make the floor of methods that draw.
        random_maps: random maps an image that make the other end of the scale.
        precision: what networks compute with.
        text: the study file as read, for provenance.
    """

    title: str
    seed: int
    models: tuple[ModelUse, ...]
    images: ImagesUse
    inputs: tuple[InputUse, ...]
    methods: tuple[MethodUse, ...]
    compare: tuple[Comparison, ...]
    accuracy: tuple[AccuracyUse, ...] = ()
    reruns: int = 2
    random_maps: int = 2
    precision: Precision = "float32"
    text: str = ""
