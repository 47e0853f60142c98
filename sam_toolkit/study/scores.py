"""The scores of a study as arrays: a row a value, a column an image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from sam_toolkit.study.results import Row
from sam_toolkit.study.statistics import Values

VERSUS = " vs "
"""Stands between the two values of a pair."""
_RERUN, _RANDOM = ("rerun", "", ""), ("random", "", "")


@dataclass(frozen=True)
class Compared:
    """The similarities of one experiment's maps to one reference, by one metric.

    Attributes:
        images: names of the photographs, one a column.
        values: scores `[images]` by factor and value, in the study's order; NaN where there is none.
        floor: mean over reruns, 1 where nothing is drawn.
        random: mean over random maps.
        deterministic: whether nothing is drawn.
    """

    model: str
    experiment: int
    method: str
    along: str
    reference: str
    metric: str
    images: tuple[str, ...]
    values: dict[tuple[str, str], Values]
    floor: Values
    random: Values
    deterministic: bool

    @property
    def scores(self) -> Values:
        """Return the scores of all values `[values, images]`."""
        return np.array(list(self.values.values())).reshape(-1, len(self.images))

    def of(self, factor: str) -> dict[str, Values]:
        """Return the scores of a factor's values."""
        return {value: scores for (name, value), scores in self.values.items() if name == factor}

    def with_largest(self, factor: str) -> tuple[str, Compared] | None:
        """Return the largest of a factor's numbers, and the scores of the other values' maps with its map.

        Of all pairs, whose values are "50 vs 800"; None where they are no numbers.
        """
        pairs = {tuple(value.split(VERSUS)): scores for value, scores in self.of(factor).items()}
        try:
            largest = max((value for pair in pairs for value in pair), key=float)
        except ValueError:
            return None
        own = {pair: scores for pair, scores in pairs.items() if largest in pair}
        values = {(factor, value): scores for pair, scores in own.items() for value in pair if value != largest}
        return largest, replace(self, values=values)

    @property
    def factors(self) -> list[str]:
        """Return what was varied, in the study's order."""
        return list(dict.fromkeys(factor for factor, _ in self.values))


def compared(rows: Iterable[Row]) -> list[Compared]:
    """Return the similarities in `rows` as arrays, in the order in which they come."""
    found: dict[tuple[str, int, str, str, str, str], list[Row]] = {}
    images: dict[str, dict[str, int]] = {}
    for row in rows:
        columns = images.setdefault(row.model, {})
        columns.setdefault(row.image, len(columns))
        place = (row.model, row.experiment, row.method, row.along, row.reference, row.metric)
        found.setdefault(place, []).append(row)
    return [_compared(place, own, images[place[0]]) for place, own in found.items()]


def _compared(place: tuple[str, int, str, str, str, str], rows: list[Row], column: dict[str, int]) -> Compared:
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.role, row.factor, row.value), []).append(row)
    means = {name: _mean(own, column) for name, own in groups.items()}
    values = {(factor, value): scores for (role, factor, value), scores in means.items() if role == "value"}
    floor = means.get(_RERUN, np.ones(len(column)))
    random = means.get(_RANDOM, np.full(len(column), np.nan))
    return Compared(*place, tuple(column), values, floor, random, deterministic=_RERUN not in means)


def _mean(rows: list[Row], column: dict[str, int]) -> Values:
    """Return the mean of each image's scores, NaN where there is none or one is undefined."""
    sums, counts = np.zeros(len(column)), np.zeros(len(column))
    for row in rows:
        sums[column[row.image]] += row.score
        counts[column[row.image]] += 1
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / counts)
