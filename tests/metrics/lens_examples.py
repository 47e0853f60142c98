"""Worked examples of LENS: two maps each, with every metric's value for several windows."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """What holds at one w; hits are counts of the diverse sets: both, recalled, precise."""

    w: int
    recall: Fraction
    precision: Fraction
    near: tuple[int, int]
    first: list[tuple[int, int]]
    second: list[tuple[int, int]]
    hits: tuple[int, int, int]
    rho: dict[str, float]
    tau: dict[str, float]


@dataclass(frozen=True)
class Example:
    """Two maps and what holds at any w."""

    a: Tensor
    b: Tensor
    k: int
    intersection: Fraction
    rho: float
    tau: float
    windows: tuple[Window, ...]


def _map(text: str) -> Tensor:
    return torch.tensor([[float(value) for value in row.split()] for row in text.strip().splitlines()])


def _by_padding(zero: float, valid: float, symmetric: float) -> dict[str, float]:
    return {"zero": zero, "valid": valid, "symmetric": symmetric}


F = Fraction
EXAMPLES = {
    "shift": Example(
        _map("9 8 0 0 0\n7 6 0 0 0\n0 0 0 0 0\n0 0 0 1 2\n0 0 0 3 4"),
        _map("0 9 8 0 0\n0 7 6 0 0\n0 0 0 0 0\n0 0 0 0 1\n0 0 0 2 3"),
        4,
        F(1, 2),
        0.476613281,
        0.463715812,
        (
            Window(
                1, F(1), F(1), (9, 12),
                [(0, 0), (4, 4), (0, 2), (0, 4)], [(0, 1), (4, 4), (0, 3), (2, 0)], (1, 3, 4),
                _by_padding(0.769709105, 0.758456172, 0.739536462),
                _by_padding(0.671931944, 0.642596306, 0.609881726),
            ),
            Window(
                2, F(1), F(1), (16, 20),
                [(0, 0), (4, 4), (0, 3), (3, 0)], [(0, 1), (4, 4), (0, 4), (3, 0)], (2, 4, 4),
                _by_padding(0.838641508, 0.753517069, 0.736446197),
                _by_padding(0.701859947, 0.603393297, 0.591453856),
            ),
        ),
    ),
    "permutation": Example(
        _map("14 20 6 23 24\n17 8 25 10 7\n16 1 19 9 15\n22 12 4 18 3\n2 21 13 5 11"),
        _map("4 6 15 16 11\n10 12 17 14 18\n7 5 3 9 1\n25 23 13 20 22\n2 19 24 21 8"),
        5,
        F(1, 5),
        0.086153846,
        0.04,
        (
            Window(
                1, F(3, 5), F(2, 5), (18, 15),
                [(1, 2), (0, 4), (3, 0), (3, 3), (1, 0)], [(3, 0), (4, 2), (3, 4), (1, 4), (1, 2)], (2, 5, 4),
                _by_padding(0.443203697, -0.426646162, -0.394529058),
                _by_padding(0.289562290, -0.296297976, -0.277028608),
            ),
            Window(
                2, F(1), F(3, 5), (24, 20),
                [(1, 2), (4, 1), (4, 4)], [(3, 0), (3, 4), (0, 3), (0, 0)], (0, 4, 3),
                _by_padding(0.808232367, -0.860554763, -0.785989455),
                _by_padding(0.590985799, -0.664419157, -0.626473572),
            ),
        ),
    ),
    "ties": Example(
        _map("5 5 1 0 0\n5 2 1 0 0\n1 1 0 0 5\n0 0 0 5 5\n0 0 0 0 0"),
        _map("0 0 0 5 5\n0 0 0 2 5\n0 0 3 0 0\n5 0 0 0 1\n5 5 0 1 1"),
        4,
        F(0),
        -0.597955910,
        -0.522443808,
        (
            Window(
                1, F(1, 4), F(1, 4), (14, 14),
                [(0, 0), (2, 4), (0, 2), (2, 0)], [(0, 3), (3, 0), (2, 2), (3, 4)], (0, 3, 3),
                _by_padding(-0.763551713, -0.819815151, -0.762405907),
                _by_padding(-0.569398623, -0.654068971, -0.602497115),
            ),
            Window(
                2, F(1), F(3, 4), (23, 22),
                [(0, 0), (2, 4), (3, 0)], [(0, 3), (3, 0), (3, 4), (0, 0)], (2, 4, 3),
                _by_padding(0.374344087, -0.687427690, -0.801848657),
                _by_padding(0.263351866, -0.534013605, -0.657673785),
            ),
        ),
    ),
    "border": Example(
        _map("9 0 0 0 0 0\n0 0 0 0 0 0\n0 0 0 0 0 8\n0 0 0 0 0 0\n0 0 0 0 0 0\n7 0 0 0 0 0"),
        _map("0 8 0 0 0 0\n0 0 0 0 0 0\n0 0 0 0 0 0\n9 0 0 0 0 0\n0 0 0 0 0 7\n0 0 0 0 0 0"),
        3,
        F(0),
        -0.090705487,
        -0.088235294,
        (
            Window(
                1, F(1, 3), F(1, 3), (14, 18),
                [(0, 0), (2, 5), (5, 0)], [(3, 0), (0, 1), (4, 5)], (0, 1, 1),
                _by_padding(0.140755652, 0.160583079, 0.134911814),
                _by_padding(0.129714940, 0.136316717, 0.113304332),
            ),
        ),
    ),
    "exhaustion": Example(
        _map("1 2 3 4\n5 16 7 8\n9 10 15 12\n13 14 11 6"),
        _map("16 1 2 15\n3 4 5 6\n7 8 9 10\n14 11 12 13"),
        5,
        F(1, 5),
        0.1,
        0.133333333,
        (
            Window(
                1, F(4, 5), F(1), (15, 16),
                [(1, 1), (3, 1), (2, 3), (0, 3)], [(0, 0), (0, 3), (3, 0), (3, 3)], (1, 4, 4),
                _by_padding(0.967575797, 0.817378498, 0.569639064),
                _by_padding(0.869206050, 0.621848739, 0.430383578),
            ),
        ),
    ),
}  # fmt: skip
