"""Results as comma-separated tables, for other programs."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from sam_toolkit.component import Reporter
from sam_toolkit.study.findings import Advice, Agreement, Interval, PairedTest, Rank
from sam_toolkit.study.results import (
    AccuracySummary,
    BoundedChange,
    InputSummary,
    Results,
    Row,
    Sensitivity,
    ValueSummary,
)
from sam_toolkit.types import Params


@dataclass(frozen=True)
class _AccuracyRow:
    """The accuracy of one map."""

    model: str
    experiment: int
    method: str
    setting: str
    metric: str
    image: str
    score: float
    map: str


@dataclass(frozen=True)
class _BoundRow:
    """One bound on the change between two maps."""

    model: str
    experiment: int
    method: str
    along: str
    factor: str
    value: str
    reference: str
    image: str
    measured: float
    floor: float
    step: int
    bound: str
    at_most: float
    tightness: float
    certified: bool
    origin: str
    assumptions: tuple[str, ...]
    map: str
    reference_map: str


@dataclass(frozen=True)
class _Table:
    """What a line of a table is, fields that other tables have, and whether it is written without a line."""

    kind: type[Any]
    left_out: tuple[str, ...] = ()
    always: bool = False


_TABLES = {
    "rows": _Table(Row, always=True),
    "sensitivity": _Table(Sensitivity, ("per_image",), always=True),
    "values": _Table(ValueSummary, always=True),
    "ranks": _Table(Rank),
    "tests": _Table(PairedTest),
    "agreement": _Table(Agreement),
    "advice": _Table(Advice),
    "accuracy": _Table(AccuracySummary, ("per_image", "maps")),
    "accuracy-rows": _Table(_AccuracyRow),
    "inputs": _Table(InputSummary, ("per_image",)),
    "bounds": _Table(_BoundRow),
}


class CsvReport(Reporter[Params]):
    """Writes tables: `rows.csv`, `sensitivity.csv`, `values.csv`, and of the others those that have a line.

    UTF-8, a comma between fields, a header of stable names; a number that is not defined is an empty field.

    `rows.csv`, every similarity of a pair of maps: model, experiment (position in the study's methods, from 0), method,
    along, factor, value, reference, metric, image, role (value, rerun, random), score, the keys in the store of
    both maps, map and reference_map, and extras, what the metric says beside the score ("chance=0.1; corrected=0.4").

    `sensitivity.csv`, one line a model, experiment, factor and metric: model, experiment, method, along, factor, values
    (joined by "; "), reference, metric; then for each of index, similarity, floor and random: `index` (the mean over
    images), `index_low`, `index_high` (ends of the interval), `index_count` (images), `index_undefined` (images without
    a value), `index_how` (the kind of interval); then deterministic, within (deviation between an image's values, RMS
    over images) and across (deviation of images' means).

    `values.csv`, the similarity at each value: model, experiment, method, along, factor, value, number, reference,
    metric, and with intervals as above `similarity`, `over_random` (by how much it exceeds a random map's: where
    `over_random_low` is not above 0, a random map explains it) and `under_floor` (by how much a rerun's exceeds it);
    extras as above, means over images.

    `ranks.csv`, the order of what was varied: model, along, metric (empty: median over metrics), rank, experiment,
    method, factor, index, low and high (ranks of 95 % of bootstrap draws), above_next (share of draws).

    `tests.csv`, Wilcoxon's signed ranks paired by image: kind (similarity, index, accuracy), model, experiment, method,
    along, metric, first, second, `difference` with its interval, p, corrected (Holm, over all tests).

    `agreement.csv`, Kendall's tau-b between metrics: model, experiment (empty: all together), along, first, second,
    `tau` with its interval, pairs.

    `advice.csv`: kind (steady, moving, reruns), model, experiment, method, factor, reference, values, moved, tolerance,
    ends (whether the reference is the largest or smallest value), reruns (how far another seed moves the map),
    certainty (share of draws in which it holds), count.

    `accuracy.csv`: model, experiment, method, setting, metric, `score` with its interval as above, higher_is_better;
    `accuracy-rows.csv` has the score of each image and the key of its map.

    `inputs.csv`, what perturbations say of the images that they changed: model, input, says (what is counted:
    "succeeded"), `value` with its interval as above.

    `bounds.csv`, one line a bound on the change between two compared maps: places as in `rows.csv`, measured (how far
    the attribution moved), floor (how far between reruns), step (1, 2, ... along the chain, 0 beside it), bound,
    at_most, tightness (measured over at_most), certified, origin and assumptions, which are always there.
    """

    name = "csv"

    def write(self, results: Results, folder: Path) -> list[Path]:
        """Write the tables into `folder`; a table of an earlier run that has no line now is removed."""
        items: dict[str, Sequence[Any]] = {
            "rows": results.rows,
            "sensitivity": results.sensitivities,
            "values": results.values,
            "ranks": results.findings.ranks,
            "tests": results.findings.tests,
            "agreement": results.findings.agreements,
            "advice": results.findings.advice,
            "accuracy": results.accuracies,
            "accuracy-rows": list(_accuracy_rows(results.accuracies)),
            "inputs": results.inputs,
            "bounds": list(_bound_rows(results.bounds)),
        }
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, table in _TABLES.items():
            path = folder / f"{name}.csv"
            if not table.always and not items[name]:
                path.unlink(missing_ok=True)
                continue
            _write(path, _header(table.kind, table.left_out), (_line(item, table.left_out) for item in items[name]))
            paths.append(path)
        return paths


def _accuracy_rows(accuracies: Iterable[AccuracySummary]) -> Iterator[_AccuracyRow]:
    for item in accuracies:
        for image, score in item.per_image.items():
            place = (item.model, item.experiment, item.method, item.setting, item.metric)
            yield _AccuracyRow(*place, image, score, item.maps.get(image, ""))


def _bound_rows(changes: Iterable[BoundedChange]) -> Iterator[_BoundRow]:
    for item in changes:
        place = (item.model, item.experiment, item.method, item.along, item.factor, item.value, item.reference)
        chain = item.chain
        steps = [*enumerate(chain.bounds, start=1), *((0, bound) for bound in chain.beside)]
        for step, bound in steps:
            yield _BoundRow(
                *place, item.image, chain.measured, chain.floor, step, bound.name, bound.value, chain.tightness(bound),
                bound.certified, bound.origin, bound.assumptions, item.map, item.reference_map,
            )  # fmt: skip


def _write(path: Path, header: list[str], lines: Iterable[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(lines)


def _header(kind: type[Any], left_out: tuple[str, ...]) -> list[str]:
    header: list[str] = []
    for name, type_ in get_type_hints(kind).items():
        if type_ is Interval:
            header += [name, *(f"{name}_{part}" for part in ("low", "high", "count", "undefined", "how"))]
        elif name not in left_out:
            header.append(name)
    return header


def _line(item: Any, left_out: tuple[str, ...]) -> list[str]:
    line: list[str] = []
    for field in fields(item):
        value = getattr(item, field.name)
        if isinstance(value, Interval):
            parts = (value.mean, value.low, value.high, value.count, value.undefined, value.how)
            line += [_text(part) for part in parts]
        elif field.name not in left_out:
            line.append(_text(value))
    return line


def _text(value: object) -> str:
    """Return a field's text; numbers so that reading them back gives the same value."""
    if value is None or value != value:  # noqa: PLR0124 - true of NaN alone
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "; ".join(value)
    if isinstance(value, Mapping):
        return "; ".join(f"{name}={_text(item)}" for name, item in value.items())
    return repr(value) if isinstance(value, float) else str(value)
