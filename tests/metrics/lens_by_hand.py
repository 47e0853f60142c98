"""LENS by brute force over sets of (row, column), in exact fractions where that can be."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np
from torch import Tensor

Pixel = tuple[int, int]
Map = tuple[tuple[float, ...], ...]


def as_rows(values: Tensor) -> Map:
    return tuple(map(tuple, values.tolist()))


def pixels_of(values: Map) -> list[Pixel]:
    return [(row, column) for row in range(len(values)) for column in range(len(values[0]))]


@lru_cache
def ranked(values: Map) -> list[Pixel]:
    return sorted(pixels_of(values), key=lambda pixel: (-values[pixel[0]][pixel[1]], pixel))


def distance(one: Pixel, other: Pixel) -> int:
    return max(abs(one[0] - other[0]), abs(one[1] - other[1]))


@lru_cache
def every_diverse(values: Map, w: int) -> list[Pixel]:
    kept: list[Pixel] = []
    for pixel in ranked(values):
        if all(distance(pixel, other) > w for other in kept):
            kept.append(pixel)
    return kept


def chosen(values: Map, k: int, w: int, is_diverse: bool) -> list[Pixel]:
    return (every_diverse(values, w) if is_diverse else ranked(values))[:k]


@lru_cache
def near(values: Map, k: int, w: int, is_diverse: bool) -> set[Pixel]:
    own = chosen(values, k, w, is_diverse)
    return {pixel for pixel in pixels_of(values) if any(distance(pixel, other) <= w for other in own)}


def recall(a: Map, b: Map, k: int, w: int, is_diverse: bool = False) -> Fraction:
    counted = chosen(b, k, w, is_diverse)
    return Fraction(len(near(a, k, w, is_diverse) & set(counted)), len(counted))


def precision(a: Map, b: Map, k: int, w: int, is_diverse: bool = False) -> Fraction:
    return recall(b, a, k, w, is_diverse)


def intersection(a: Map, b: Map, k: int, w: int = 0, is_diverse: bool = False) -> Fraction:
    first, second = (chosen(values, k, w, is_diverse) for values in (a, b))
    return Fraction(len(set(first) & set(second)), len(second))


def chance(a: Map, k: int, w: int, is_diverse: bool = False) -> Fraction:
    """Of recall: the share of the map that lies near the first map's set."""
    return Fraction(len(near(a, k, w, is_diverse)), len(pixels_of(a)))


def smoothed(values: Map, w: int, padding: str) -> list[Fraction]:
    """Return a smoothed map of whole numbers, flat."""
    height, width = len(values), len(values[0])
    rows, columns = ([_window(place, side, w, padding) for place in range(side)] for side in (height, width))
    found = []
    for y, x in pixels_of(values):
        inside = [int(values[row][column]) for row in rows[y] for column in columns[x]]
        found.append(Fraction(sum(inside), len(inside) if padding == "valid" else (2 * w + 1) ** 2))
    return found


def _window(place: int, side: int, w: int, padding: str) -> list[int]:
    around = range(place - w, place + w + 1)
    if padding == "symmetric":
        return [_mirrored(other, side) for other in around]
    return [other for other in around if 0 <= other < side]


def _mirrored(place: int, side: int) -> int:
    while not 0 <= place < side:
        place = -1 - place if place < 0 else 2 * side - 1 - place
    return place


def rank_correlations(x: Sequence[Fraction], y: Sequence[Fraction]) -> tuple[float, float]:
    """Return Spearman's rho and Kendall's tau-b by definition: sums over all pairs, in whole numbers up to the root."""
    signs = []
    for values in (x, y):
        different = {value: place for place, value in enumerate(sorted(set(values)))}
        dense = np.array([different[value] for value in values])
        signs.append(np.sign(dense[:, None] - dense))
    # The average rank, from the middle and doubled, is how many values a value exceeds less how many exceed it.
    return tuple(_cosine(a.ravel(), b.ravel()) for a, b in ([s.sum(1) for s in signs], signs))


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    length = int(a @ a) * int(b @ b)
    return int(a @ b) / length**0.5 if length else float("nan")
