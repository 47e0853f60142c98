"""Where the values of a hyperparameter stand on an axis."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = re.compile(
    r"(?:(?P<name>\w+)=)?(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?:/(?P<whole>[1-9]\d*))?"
)
_LOG_SPAN = 8
"""Ratio of the largest to the smallest value from which an axis is logarithmic."""
_ROOM = 0.09
"""Share of the axis that a tick's label takes at least."""


@dataclass(frozen=True)
class Axis:
    """Positions in [0, 1] of values given as text.

    Attributes:
        positions: one a value.
        scale: "linear", "log", or "categorical" where a value is no number.
        unit: the name that all values share ("sigma" of "sigma=0.1"), or empty.
    """

    positions: dict[str, float]
    scale: str
    unit: str

    def labelled(self) -> dict[str, float]:
        """Return the values that have room for a label, by position; the ends always have it."""
        ordered = sorted(self.positions.items(), key=lambda item: item[1])
        room = _ROOM if self.scale != "categorical" else 0.0
        kept: list[tuple[str, float]] = []
        for value, position in ordered:
            if not kept or position - kept[-1][1] >= room:
                kept.append((value, position))
        if ordered and kept[-1] != ordered[-1]:
            kept[-1] = ordered[-1]
        return dict(kept)

    def label(self, value: str) -> str:
        """Return a value's text without the name that all share."""
        return value.removeprefix(f"{self.unit}=") if self.unit else value


def axis(values: Sequence[str]) -> Axis:
    """Return the axis of values, given as text ("50", "sigma=0.1", "eps=8/255", "blur")."""
    distinct = list(dict.fromkeys(values))
    matches = [_NUMBER.fullmatch(value) for value in distinct]
    names = {match["name"] for match in matches if match}
    if not all(matches) or len(names) != 1:
        return Axis(_even(distinct), "categorical", "")
    numbers = {
        value: float(match["number"]) / int(match["whole"] or 1)
        for value, match in zip(distinct, matches, strict=True)
        if match
    }
    logarithmic = min(numbers.values()) > 0 and max(numbers.values()) >= _LOG_SPAN * min(numbers.values())
    if logarithmic:
        numbers = {value: math.log(number) for value, number in numbers.items()}
    return Axis(_spread(numbers), "log" if logarithmic else "linear", names.pop() or "")


def _even(values: list[str]) -> dict[str, float]:
    return {value: (place + 0.5) / len(values) for place, value in enumerate(values)}


def _spread(numbers: dict[str, float]) -> dict[str, float]:
    low, high = min(numbers.values()), max(numbers.values())
    if low == high:
        return dict.fromkeys(numbers, 0.5)
    return {value: 0.06 + 0.88 * (number - low) / (high - low) for value, number in numbers.items()}
