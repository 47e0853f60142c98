"""What a study found, as plain values that every reporter reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import ConfigDict
from torch import Tensor

from sam_toolkit.bounding import Chain
from sam_toolkit.study.findings import Findings, Interval


@dataclass(frozen=True)
class Row:
    """The similarity of one pair of maps of one image.

    Attributes:
        model: the model's name in the study.
        experiment: index of the study's method entry.
        method: name of the method.
        along: what was varied: the method's settings or the inputs.
        factor: the hyperparameter that differs, or the perturbation's name.
        value: what it was set to, as text ("200", "sigma=0.1"); for floors "" .
        reference: what it is compared with, as text.
        metric: the metric with its settings, as text ("ssim", "ssim window=7").
        image: the photograph's name.
        role: "value", or a floor: "rerun" (another seed, nothing else) or "random" (a random map of the same range).
        score: the similarity; NaN where it is undefined.
        map: key in the store of the map that is compared; "" for a random one.
        reference_map: key of the map that it is compared with.
        extras: what the metric says beside it, by name, such as the level that chance reaches.
    """

    model: str
    experiment: int
    method: str
    along: str
    factor: str
    value: str
    reference: str
    metric: str
    image: str
    role: Literal["value", "rerun", "random"]
    score: float
    map: str = ""
    reference_map: str = ""
    extras: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ValueSummary:
    """One point of a curve: the similarity at one value of one factor, over images.

    Attributes:
        over_random: by how much the map is more alike than a random one, paired by image.
        under_floor: by how much the map is less alike than a rerun's, paired by image.
        extras: means over images of what the metric says beside it, such as the level that chance reaches.
    """

    model: str
    experiment: int
    method: str
    along: str
    factor: str
    value: str
    number: float | None
    reference: str
    metric: str
    similarity: Interval
    over_random: Interval
    under_floor: Interval
    extras: Mapping[str, float] = field(default_factory=dict)

    @property
    def explained_by_random(self) -> bool:
        """Return whether the similarity is no more than a random map has: its interval, or mean, is not above it."""
        return self.over_random.could_be_nothing

    @property
    def explained_by_rerun(self) -> bool:
        """Return whether the map moves no more than with another seed."""
        return self.under_floor.could_be_nothing


@dataclass(frozen=True)
class Sensitivity:
    """How far one factor moves the map: index = (floor - s) / (floor - random) per image, then over images.

    Attributes:
        index: 0: moves no more than a rerun; 1: as unrelated as noise.
        similarity: s, the mean similarity of the other values' maps to the reference's.
        floor: similarity of reruns with another seed; 1 for a deterministic method.
        random: similarity to a random map of the same range.
        per_image: index by photograph.
        deterministic: whether the floor is 1 because nothing is drawn.
        within: deviation between the values of one image: root of the mean over images of the variance, as SAM has it.
        across: standard deviation over images of their mean similarity.
    """

    model: str
    experiment: int
    method: str
    along: str
    factor: str
    values: tuple[str, ...]
    reference: str
    metric: str
    index: Interval
    similarity: Interval
    floor: Interval
    random: Interval
    per_image: Mapping[str, float]
    deterministic: bool
    within: float
    across: float


@dataclass(frozen=True)
class AccuracySummary:
    """An accuracy of the maps of one setting, over images.

    Attributes:
        per_image: the accuracy by photograph, where it is defined.
        maps: key in the store of each photograph's map.
    """

    model: str
    experiment: int
    method: str
    setting: str
    metric: str
    score: Interval
    higher_is_better: bool
    per_image: Mapping[str, float] = field(default_factory=dict)
    maps: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class InputSummary:
    """What a perturbation says of the images that it changed, such as the share on which an attack succeeded.

    Attributes:
        input: the input variant, as text ("random-sign eps=8/255").
        says: the name of the number.
        value: the number's mean over images.
        per_image: the number by photograph, where it is defined.
    """

    model: str
    input: str
    says: str
    value: Interval
    per_image: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class BoundedChange:
    """How far an attribution moved between two compared maps of one image, and what its method says bounds that.

    The fields but `chain` are those of a `Row`.
    """

    model: str
    experiment: int
    method: str
    along: str
    factor: str
    value: str
    reference: str
    image: str
    chain: Chain
    map: str = ""
    reference_map: str = ""


@dataclass(frozen=True)
class Strip:
    """One photograph with its maps along one factor, for one model and experiment.

    Attributes:
        photo: `[C, H, W]` in [0, 1], at network size.
        target: what was explained, as text ("espresso (967), given").
        labels: one a map, the reference first ("samples=50", "samples=200", ...).
        maps: `[K, H, W]`, scaled for comparison: [-1, 1] where signed, else [0, 1].
        signed: whether the maps are signed.
        keys: the maps' keys in the store.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(arbitrary_types_allowed=True)

    model: str
    experiment: int
    method: str
    along: str
    factor: str
    image: str
    target: str
    photo: Tensor
    labels: tuple[str, ...]
    maps: Tensor
    signed: bool
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A part of the study that could not be computed; the rest went on."""

    model: str
    method: str
    image: str
    settings: str
    error: str


@dataclass(frozen=True)
class Experiment:
    """A method entry of the study, described.

    Attributes:
        default: the whole default setting, as text.
        axes: the values of each hyperparameter that it varies, as text.
        defaults: the default's value of each of them, as text.
        reference: the paper or text that defines the method.
    """

    index: int
    method: str
    title: str
    default: str
    axes: Mapping[str, tuple[str, ...]]
    defaults: Mapping[str, str]
    reference: str


@dataclass(frozen=True)
class Results:
    """Everything that a report shows.

    Attributes:
        title: name of the study.
        provenance: what made it, in order: versions, seed, device, models with fingerprint, date, command.
        cost: network rows ("computed", "without sharing"), maps, seconds, as text by name.
        images: photograph name to its target as text, by model ("espresso (967), given").
        notes: sentences that a reader must know (few images, undefined scores, scaling).
        study: the study file as read, to repeat it; empty where there was none.
        findings: what follows from the scores.
        inputs: what perturbations say of the images that they changed.
        bounds: of each compared pair of maps whose method knows any.
    """

    title: str
    provenance: Mapping[str, str]
    cost: Mapping[str, str]
    models: tuple[str, ...]
    images: Mapping[str, str]
    experiments: tuple[Experiment, ...]
    rows: tuple[Row, ...]
    values: tuple[ValueSummary, ...]
    sensitivities: tuple[Sensitivity, ...]
    accuracies: tuple[AccuracySummary, ...]
    strips: tuple[Strip, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]
    study: str = ""
    findings: Findings = field(default_factory=Findings)
    inputs: tuple[InputSummary, ...] = ()
    bounds: tuple[BoundedChange, ...] = ()
