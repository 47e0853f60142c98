"""Numbers and names as readers see them, said the same way on the page, in figures and on the terminal."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from sam_toolkit.study.results import Interval

UNDEFINED = "–"
"""Stands where a number is not defined."""


def number(value: float) -> str:
    """Return a score with two digits and a true minus sign: "0.41", "−0.07", "–" where it is not defined."""
    if not math.isfinite(value):
        return UNDEFINED
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")


def bounded(interval: Interval) -> bool:
    """Return whether the interval has ends that say more than its mean."""
    return math.isfinite(interval.low) and math.isfinite(interval.high)


def ends(interval: Interval) -> str:
    """Return "0.33 to 0.52", or an empty string where there is no interval."""
    return f"{number(interval.low)} to {number(interval.high)}" if bounded(interval) else ""


def measured(interval: Interval) -> str:
    """Return "0.41 (95 % CI 0.33 to 0.52, 12 images)", saying so where there is no interval."""
    if not math.isfinite(interval.mean):
        return "undefined"
    how = f"95 % CI {ends(interval)}" if bounded(interval) else "no interval"
    return f"{number(interval.mean)} ({how}, {counted(interval.count, 'image')})"


def counted(count: int, noun: str) -> str:
    """Return "1 image", "12 images"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def listed(items: Sequence[str], word: str = "and") -> str:
    """Return "a", "a and b", "a, b and c"."""
    return f" {word} ".join(filter(None, (", ".join(items[:-1]), items[-1]))) if items else ""


def shortened(text: str, length: int) -> str:
    """Return `text` with its middle left out where it is longer than `length`."""
    if len(text) <= length:
        return text
    head = (length - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


def printable(text: str) -> str:
    """Return `text` without control characters, which XML and terminals cannot take."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\N{REPLACEMENT CHARACTER}", text)
