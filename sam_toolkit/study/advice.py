"""Where a map stops moving: the values of a hyperparameter around its default that leave the map where it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

import numpy as np

from sam_toolkit.study.findings import Advice
from sam_toolkit.study.results import Experiment
from sam_toolkit.study.scores import Compared
from sam_toolkit.study.statistics import LEAST, Values, draw_means, image_mean, index

STAYS = 0.1
"""Share of the way from an equal map to a random one up to which a map counts as staying where it is."""
_NAN = float("nan")
_Ends = Literal["largest", "smallest", "inside", ""]


@dataclass(frozen=True)
class _Moves:
    """How far values move the map by the metric by which they move it most.

    Attributes:
        means: one a value.
        draws: `[DRAWS, values]`, the same in bootstrap draws of images.
        count: images.
    """

    means: Values
    draws: Values
    count: int

    @classmethod
    def of(cls, shares: Values, seed: int) -> _Moves:
        """Return the moves of shares `[metrics, values, images]`."""
        count = int((~np.isnan(shares)).any(axis=(0, 1)).sum())
        return cls(_largest(image_mean(shares)), _largest(draw_means(shares, seed)), count)

    def certainty(self, columns: list[int], *, far: bool) -> float:
        """Return the share of draws in which all of some values move the map far, or all of them do not.

        NaN where there are too few images for draws.
        """
        draws = self.draws[:, columns]
        holds = (draws > STAYS if far else draws <= STAYS).all(axis=1)
        return float(holds.mean()) if self.count >= LEAST else _NAN


def advise(found: Sequence[Compared], experiments: Sequence[Experiment], seed: int) -> Iterator[Advice]:
    """Yield advice for each experiment and model: on reruns, and on each hyperparameter that it varies.

    Comparisons with the default say how the map stays around it; of all pairs, those with the largest value of a
    hyperparameter say from where on it has stopped moving.
    """
    described = {experiment.index: experiment for experiment in experiments}
    for own in _together(found, "settings"):
        yield from _on_reruns(own, seed)
        for factor, default in described[own[0].experiment].defaults.items():
            if own[0].of(factor):
                yield from _on_factor(own, factor, default, seed)
    for own in _together(found, "pairs of settings"):
        for factor, default in described[own[0].experiment].defaults.items():
            yield from _on_largest(own, factor, default, seed)


def _together(found: Sequence[Compared], along: str) -> list[list[Compared]]:
    """Return what is compared along something, the metrics of a model and experiment together."""
    groups: dict[tuple[str, int], list[Compared]] = {}
    for item in found:
        if item.along == along:
            groups.setdefault((item.model, item.experiment), []).append(item)
    return list(groups.values())


def _on_largest(own: list[Compared], factor: str, default: str, seed: int) -> Iterator[Advice]:
    """Yield advice around the largest value, where it is not the default, which others are compared with anyway."""
    turned = [item.with_largest(factor) for item in own]
    known = [pair for pair in turned if pair is not None]
    if known and known[0][0] != default and len(known) == len(own):
        yield from _on_factor([item for _, item in known], factor, known[0][0], seed)


def _on_reruns(own: list[Compared], seed: int) -> Iterator[Advice]:
    moves = _reruns(own, seed)
    moved = float(moves.means[0])
    if np.isfinite(moved) and not own[0].deterministic:
        certainty = moves.certainty([0], far=moved > STAYS)
        yield Advice("reruns", *_place(own), "", "", (), moved, STAYS, "", moved, certainty, moves.count)


def _reruns(own: list[Compared], seed: int) -> _Moves:
    return _Moves.of(np.array([[_shares(item.floor, item)] for item in own]), seed)


def _on_factor(own: list[Compared], factor: str, default: str, seed: int) -> Iterator[Advice]:
    names = list(own[0].of(factor))
    moves = _Moves.of(np.array([[_shares(scores, item) for scores in item.of(factor).values()] for item in own]), seed)
    order, ends = _ordered(names, default)
    still = {name for name, moved in zip(names, moves.means, strict=True) if moved <= STAYS}
    steady = _around(order, default, ends, still)
    columns = [names.index(value) for value in (steady or _neighbours(order, default, ends))]
    means = moves.means[columns]
    if np.isnan(means).any():
        return
    moved = float(means.max() if steady else means.min())
    certainty = moves.certainty(columns, far=not steady)
    values = tuple(value for value in order if value == default or value in steady)
    kind: Literal["steady", "moving"] = "steady" if steady else "moving"
    reruns = _NAN if own[0].deterministic else float(_reruns(own, seed).means[0])
    yield Advice(kind, *_place(own), factor, default, values, moved, STAYS, ends, reruns, certainty, moves.count)


def _place(own: list[Compared]) -> tuple[str, int, str]:
    return own[0].model, own[0].experiment, own[0].method


def _shares(scores: Values, item: Compared) -> Values:
    """Return each image's share of the way from an equal map, similarity 1, to a random one."""
    return index(scores, np.ones(len(scores)), item.random)


def _largest(means: Values) -> Values:
    """Return the largest over metrics, the last axis but one; metrics that are undefined are left out."""
    filled = np.where(np.isnan(means), -np.inf, means).max(axis=-2)
    return np.where(np.isfinite(filled), filled, np.nan)


def _ordered(names: list[str], default: str) -> tuple[list[str], _Ends]:
    """Return the values with the default, in order where all are numbers, and where the default stands."""
    both = list(dict.fromkeys([default, *names]))
    try:
        order = sorted(both, key=float)
    except ValueError:
        return both, ""
    ends: dict[str, _Ends] = {order[0]: "smallest", order[-1]: "largest"}
    return order, ends.get(default, "inside")


def _around(order: list[str], default: str, ends: _Ends, still: set[str]) -> list[str]:
    """Return the values that leave the map where it is: without a gap from the default on, where they have an order."""
    if not ends:
        return [value for value in order if value in still]
    place = order.index(default)
    below = takewhile(still.__contains__, reversed(order[:place]))
    above = takewhile(still.__contains__, order[place + 1 :])
    return [*below, *above]


def _neighbours(order: list[str], default: str, ends: _Ends) -> list[str]:
    place = order.index(default)
    near = order[max(0, place - 1) : place + 2] if ends else order
    return [value for value in near if value != default]
