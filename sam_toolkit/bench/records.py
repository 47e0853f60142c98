"""What a benchmark found, as values that a JSON file keeps."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sam_toolkit.errors import BenchError

OURS = "sam_toolkit"
_SHOWN = 3


Unit = Literal["pair", "image", "window", "score", "map"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Work(_Record):
    """What one call does: how many pairs or images, and how many bytes of them it writes or compares."""

    units: int = Field(gt=0)
    bytes: int = Field(default=0, ge=0)


class Agreement(_Record):
    """The largest difference of a result from ours, and what of ours it was compared with."""

    difference: float
    tolerance: float
    against: str

    @property
    def holds(self) -> bool:
        """Whether the results are the same but for rounding."""
        return self.difference <= self.tolerance


class Row(_Record):
    """The times of one contestant in one case: each sample is the seconds of a call, taken over `calls` of them."""

    contestant: str
    work: Work
    calls: int = Field(gt=0)
    samples: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = Field(min_length=1)
    agreement: Agreement | None = None
    note: str = ""

    @property
    def seconds(self) -> float:
        """The median time of one unit."""
        return statistics.median(self.samples) / self.work.units

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles of the samples, as a share of the median."""
        if len(self.samples) < 2:
            return 0.0
        low, middle, high = statistics.quantiles(self.samples, n=4, method="inclusive")
        return (high - low) / 2 / middle

    @property
    def bandwidth(self) -> float:
        """Bytes in a second."""
        return self.work.bytes / self.work.units / self.seconds


class Skipped(_Record):
    """A peer that did not take part, and why."""

    contestant: str
    reason: str


class CaseResult(_Record):
    """One table: who did the same work; the first row is what the others are compared with."""

    name: str
    unit: Unit
    about: str = ""
    rows: tuple[Row, ...] = Field(min_length=1)
    skipped: tuple[Skipped, ...] = ()


class Report(_Record):
    """A whole run of `sam-toolkit bench kernels`."""

    format: Literal["sam-toolkit bench kernels 1"] = "sam-toolkit bench kernels 1"
    machine: dict[str, str]
    versions: dict[str, str]
    settings: dict[str, Any]
    cases: tuple[CaseResult, ...]


def save(report: BaseModel, path: Path) -> None:
    """Write the report as JSON.

    Raises:
        BenchError: where the file cannot be written.
    """
    try:
        path.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise BenchError(f"bench: {path} cannot be written: {error.strerror}. Name another file.") from error


def load(path: Path) -> Report:
    """Read a report from JSON.

    Raises:
        BenchError: where the file is missing or is not what `sam-toolkit bench kernels --json` writes.
    """
    try:
        return Report.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchError(f"bench: {path} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, ValidationError) as error:
        what = "it is not text" if isinstance(error, UnicodeDecodeError) else _problems(error)
        advice = "Give files that `sam-toolkit bench kernels --json FILE` wrote."
        raise BenchError(f"bench: {path} is not a benchmark's file: {what}. {advice}") from error


def _problems(error: ValidationError) -> str:
    """Return the first few problems and where each is."""
    found = [(".".join(map(str, item["loc"])), item["msg"]) for item in error.errors()]
    texts = [f"{place}: {text}" if place else text for place, text in found[:_SHOWN]]
    return "; ".join(texts) + (f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
