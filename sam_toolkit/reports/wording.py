"""Numbers and names as readers see them, said the same way on the page, in figures and on the terminal."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from sam_toolkit.study.findings import Interval, Rank

UNDEFINED = "–"
"""Stands where a number is not defined."""
_LEAST_CHANCE = 0.001
"""Smallest p that is written out."""


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


def chance(p: float) -> str:
    """Return a p-value with three digits: "0.034", "< 0.001", "–"."""
    if not math.isfinite(p):
        return UNDEFINED
    return f"< {_LEAST_CHANCE}" if p < _LEAST_CHANCE else f"{p:.3f}"


def ranked(rank: Rank) -> list[str]:
    """Return "rank 2 [1 to 3]" and "above next: 97 %", where there are bootstrap draws that say so."""
    ends = f" [{rank.low:.0f} to {rank.high:.0f}]" if math.isfinite(rank.low) else ""
    above = [f"above next: {100 * rank.above_next:.0f} %"] if math.isfinite(rank.above_next) else []
    return [f"rank {rank.rank}{ends}", *above]


def capital(sentence: str) -> str:
    """Return a sentence with a capital first letter."""
    return sentence[:1].upper() + sentence[1:]


def slug(text: str) -> str:
    """Return a text that can stand in an id: "pairs-of-settings"."""
    return re.sub(r"\W+", "-", text).strip("-")


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
