"""What SAM's paper claims, and what the tests of this page say of each claim."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass

from averages import Average
from differences import Difference, Movement, Question
from smoothing import Smoothing
from tables import ends, number, span, table, varied

Item = Movement | Difference | Smoothing | Average


@dataclass(frozen=True)
class Claim:
    """A sentence, and which tests speak for or against it."""

    text: str
    covers: Callable[[Item], bool]


def _moves(along: str, *, seed: bool) -> Callable[[Item], bool]:
    return lambda item: isinstance(item, Movement) and (item.question.along, item.question.of_the_seed) == (along, seed)


def _leads(first: str, second: str, along: str) -> Callable[[Item], bool]:
    return lambda item: isinstance(item, Difference) and item.kinds == (first, second) and item.question.along == along


CLAIMS = {
    "SAM's claims": (
        Claim("Maps of regular networks move when the image gets noise", _moves("inputs", seed=False)),
        Claim("They move with a hyperparameter, more than with another seed", _moves("settings", seed=False)),
        Claim("They move with the seed alone", _moves("settings", seed=True)),
        Claim("Maps of robust networks move less under noise", _leads("robust", "regular", "inputs")),
        Claim("Maps of robust networks move less with settings and seeds", _leads("robust", "regular", "settings")),
        Claim(
            "Smoother maps of a regular network are closer to its robust twin's gradient",
            lambda item: isinstance(item, Smoothing),
        ),
        Claim("Averages of accuracy hide that maps move", lambda item: isinstance(item, Average)),
    ),
    "What the control adds": (
        Claim(
            "Maps of networks trained with noise, not attacks, move less under noise",
            _leads("noise", "regular", "inputs"),
        ),
        Claim("They move less with settings and seeds", _leads("noise", "regular", "settings")),
        Claim("Maps of robust networks move less than those, under noise", _leads("robust", "noise", "inputs")),
        Claim("They move less than those, with settings and seeds", _leads("robust", "noise", "settings")),
    ),
}


_ALONG = {"inputs": "noise on the image", "settings": "settings and seeds"}


def by_method(items: Sequence[Item]) -> list[Claim]:
    """Return the claim that maps of robust networks move less than those of regular ones, for each method by itself."""
    return _split(items, lambda question: f"{question.method}, {_ALONG[question.along]}")


def by_noise(items: Sequence[Item]) -> list[Claim]:
    """Return that claim for each level of noise by itself, over all methods."""
    return _split(items, lambda question: f"{question.factor} {question.values[0]}" * (question.along == "inputs"))


def _split(items: Sequence[Item], named: Callable[[Question], str]) -> list[Claim]:
    """Return a claim for each name that questions get, of those on robust and regular networks that get one."""
    found: dict[str, set[int]] = {}
    for item in items:
        if isinstance(item, Difference) and item.kinds == ("robust", "regular") and named(item.question):
            found.setdefault(named(item.question), set()).add(id(item))
    return [Claim(name, _among(own)) for name, own in found.items()]


def _among(own: Set[int]) -> Callable[[Item], bool]:
    return lambda item: id(item) in own


def claims_table(items: Sequence[Item], claims: Sequence[Claim]) -> str:
    """Return what the tests say of each claim on each data set, with the least and the most that they found."""
    return table(["claim", "data", "verdict", "least", "most"], _rows(items, claims), numbers=False)


def _rows(items: Sequence[Item], claims: Sequence[Claim]) -> Iterator[list[str]]:
    for claim in claims:
        covered = [item for item in items if claim.covers(item)]
        for data in dict.fromkeys(item.data for item in covered):
            own = sorted((item for item in covered if item.data == data), key=_size)
            yield [claim.text, data, verdict([item.sign for item in own]), evidence(own[0]), evidence(own[-1])]


def verdict(signs: Sequence[int]) -> str:
    """Return what signs say: holds, turned round, mixed or open, with the counts for, open and against."""
    counts = {1: signs.count(1), 0: signs.count(0), -1: signs.count(-1)}
    if counts[1] and counts[-1]:
        word = "mixed"
    elif counts[1]:
        word = "holds in part" if counts[0] else "**holds**"
    elif counts[-1]:
        word = "turned round in part" if counts[0] else "turned round"
    else:
        word = "open"
    return f"{word}: {counts[1]} for, {counts[0]} open, {counts[-1]} against"


def evidence(item: Item) -> str:
    """Return a finding with its interval and its floors."""
    if isinstance(item, Average):
        return (
            f"{item.title}, {item.metric}: {ends(item.effect)} of {number(item.span.mean)} over a random map, "
            f"{span(item.moved)} moved"
        )
    if isinstance(item, Smoothing):
        floors = f"{item.plain:.2f} to {item.smooth:.2f}; {_floors(item.rerun, item.random)}"
        return f"{item.method}, {item.metric}: {ends(item.effect)} ({floors})"
    if isinstance(item, Movement):
        floors = f"similarity {item.level.similarity:.2f}; {_floors(item.level.rerun, item.level.random)}"
        return f"{varied(item.question)}, {item.question.metric}: {ends(item.effect)} ({floors})"
    sides = " | ".join(f"{one.similarity:.2f}; {_floors(one.rerun, one.random)}" for one in item.levels)
    return f"{varied(item.question)}, {item.question.metric}: {ends(item.effect)} ({sides})".replace(" | ", " less ")


def _floors(rerun: float, random: float) -> str:
    return f"rerun {rerun:.2f}, random {random:.2f}"


def _size(item: Item) -> float:
    return -item.share if isinstance(item, Average) else item.effect.mean
