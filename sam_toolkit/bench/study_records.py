"""What a benchmark of whole studies found, as values that a JSON file keeps."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sam_toolkit.bench.records import Agreement


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(_Record):
    """What a method, or the comparisons, cost one side: seconds, and network rows forward and backward."""

    seconds: float = Field(default=0.0, ge=0)
    forward: int = Field(default=0, ge=0)
    backward: int = Field(default=0, ge=0)

    def plus(self, other: Part) -> Part:
        """Return both together."""
        names = type(self).model_fields
        return Part(**{name: getattr(self, name) + getattr(other, name) for name in names})


class Speeds(_Record):
    """Seconds a row of the bare network in its quickest layout and batch, and the ways that a script is quickest in.

    Attributes:
        masks: seconds of all steps of masks; each needs the last, so that a step has a row for each mask that goes on.
    """

    forward: float = Field(gt=0)
    backward: float = Field(gt=0)
    masks: float = Field(default=0.0, ge=0)
    ways: dict[str, str]


class Line(_Record):
    """One method on both sides.

    Attributes:
        least: of the multiply-adds of its rows, the share that depends on what the rows change.
        floor: seconds that its rows take in the bare network, times that share: what rows, windows and layout allow.
    """

    name: str
    script: Part
    ours: Part
    least: float = 1.0
    floor: float = 0.0
    agreement: Agreement | None = None

    @property
    def possible(self) -> float:
        """How many times faster the bound lets ours be; 0 where there is none."""
        return self.script.seconds / self.floor if self.floor else 0.0

    @property
    def reached(self) -> float:
        """How many times faster ours is."""
        return self.script.seconds / self.ours.seconds

    @property
    def share(self) -> float:
        """Of the saving that is possible, the share that is reached; 0 where there is no bound."""
        return self.floor / self.ours.seconds


class StudyResult(_Record):
    """A whole study on both sides.

    Attributes:
        lines: the methods, the comparisons, and all together.
        peak: bytes by side that the process held at most, beyond those before it began.
        maps: bytes of all maps.
    """

    network: str
    extent: str
    maps: int
    lines: tuple[Line, ...]
    speeds: Speeds
    peak: dict[str, int]

    @property
    def total(self) -> Line:
        """Everything together."""
        return self.lines[-1]

    @property
    def agrees(self) -> bool:
        """Whether everything that was compared is the same but for rounding."""
        return all(line.agreement is None or line.agreement.holds for line in self.lines)


class Step(_Record):
    """What a study with so much of something cost.

    Attributes:
        rows_alone: network rows that its settings would cost one by one.
        seconds: of the whole run; of those, those that computed maps, and that compared them.
        peak: bytes that the process held at most, beyond those before it began.
    """

    amount: int
    rows: int
    rows_alone: int
    maps: int
    map_bytes: int
    seconds: float
    seconds_maps: float
    seconds_comparing: float
    peak: int


class Growth(_Record):
    """The steps along one axis, from small to large; `about` says what grows."""

    axis: str
    about: str
    steps: tuple[Step, ...]


class GrowthReport(_Record):
    """A whole run of `sam-toolkit bench sharing`."""

    format: Literal["sam-toolkit bench sharing 1"] = "sam-toolkit bench sharing 1"
    machine: dict[str, str]
    versions: dict[str, str]
    settings: dict[str, Any]
    growths: tuple[Growth, ...]


class StudyReport(_Record):
    """A whole run of `sam-toolkit bench study`."""

    format: Literal["sam-toolkit bench study 1"] = "sam-toolkit bench study 1"
    machine: dict[str, str]
    versions: dict[str, str]
    settings: dict[str, Any]
    studies: tuple[StudyResult, ...]
