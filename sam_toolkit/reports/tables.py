"""Results as comma-separated tables, for other programs."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

from sam_toolkit.component import Reporter
from sam_toolkit.study.results import AccuracySummary, Interval, Results, Row, Sensitivity, ValueSummary
from sam_toolkit.types import Params

_TABLES: tuple[tuple[str, type[Any], tuple[str, ...]], ...] = (
    ("rows", Row, ()),
    ("sensitivity", Sensitivity, ("per_image",)),
    ("values", ValueSummary, ()),
    ("accuracy", AccuracySummary, ()),
)
"""File, what a line of it is, and fields that follow from the rows."""


class CsvReport(Reporter[Params]):
    """Writes `rows.csv`, `sensitivity.csv`, `values.csv` and, if the study asks for accuracies, `accuracy.csv`.

    UTF-8, a comma between fields, a header of stable names; a number that is not defined is an empty field.

    `rows.csv`, every similarity of a pair of maps: model, experiment (position in the study's methods, from 0), method,
    along, factor, value, reference, metric, image, role (value, rerun, random), score.

    `sensitivity.csv`, one line a model, experiment, factor and metric: model, experiment, method, along, factor, values
    (joined by "; "), reference, metric; then for each of index, similarity, floor and random: `index` (the mean over
    images), `index_low`, `index_high` (ends of the interval), `index_count` (images), `index_undefined` (images without
    a value), `index_how` (the kind of interval); then deterministic.

    `values.csv`, the similarity at each value: model, experiment, method, along, factor, value, number, reference,
    metric, and `similarity` with its interval as above.

    `accuracy.csv`: model, experiment, method, setting, metric, `score` with its interval as above, higher_is_better.
    """

    name = "csv"

    def write(self, results: Results, folder: Path) -> list[Path]:
        """Write the tables into `folder`; without accuracies there is no `accuracy.csv`."""
        items: dict[str, Sequence[Any]] = {
            "rows": results.rows,
            "sensitivity": results.sensitivities,
            "values": results.values,
            "accuracy": results.accuracies,
        }
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, kind, left_out in _TABLES:
            path = folder / f"{name}.csv"
            if name == "accuracy" and not results.accuracies:
                path.unlink(missing_ok=True)
                continue
            _write(path, _header(kind, left_out), (_line(item, left_out) for item in items[name]))
            paths.append(path)
        return paths


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
    return repr(value) if isinstance(value, float) else str(value)
