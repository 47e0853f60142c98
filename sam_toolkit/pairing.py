"""What calling a pair metric by hand comes to: lists of values, two maps or a stack of them, scores with extras."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from sam_toolkit.errors import ComponentError
from sam_toolkit.types import Params, grouped

P = TypeVar("P", bound=Params)


@dataclass(frozen=True)
class PairScores:
    """Similarities of pairs of maps.

    Attributes:
        values: float64 `[S, P, N]`; NaN where the metric is undefined (a rank correlation with a constant map).
        extras: named companions of the same shape, such as the level that chance reaches.
    """

    values: Tensor
    extras: Mapping[str, Tensor] = field(default_factory=dict)

    def each(self, change: Callable[[Tensor], Tensor]) -> PairScores:
        """Return the values and extras as `change` makes them."""
        return PairScores(change(self.values), {name: change(extra) for name, extra in self.extras.items()})


@dataclass(frozen=True)
class Grid(Generic[P]):
    """Settings in the order of their combinations, the last list running fastest; `shape` has a length a list."""

    settings: tuple[P, ...]
    shape: tuple[int, ...] = ()


def grid_of(setting: Callable[..., P], fields: Mapping[str, Any]) -> Grid[P]:
    """Return the settings that `fields` give: a list is several values, unless the field itself takes that list.

    Raises ComponentError as `setting` does, for the combination that breaks a rule.
    """
    lists = {name: value for name, value in fields.items() if isinstance(value, list) and value}
    fixed = {name: value for name, value in fields.items() if name not in lists}
    swept = {name: value for name, value in lists.items() if not _takes(setting, {**fixed, name: value})}
    if not swept:
        return Grid((setting(**fields),))
    combinations = (dict(zip(swept, values, strict=True)) for values in product(*swept.values()))
    settings = tuple(setting(**{**fields, **values}) for values in combinations)
    return Grid(settings, tuple(map(len, swept.values())))


def _takes(setting: Callable[..., Any], fields: Mapping[str, Any]) -> bool:
    try:
        setting(**fields)
    except ComponentError:
        return False
    return True


class Pairwise(Protocol):
    """What is asked of a pair metric here."""

    @property
    def grid(self) -> Grid[Any]:
        """Return its settings."""

    @property
    def symmetric(self) -> bool:
        """Return whether the order of two maps makes no difference."""

    def shares(self, params: Any) -> frozenset[str]:
        """Return the fields along which one computation serves many settings."""

    def prepare(self, maps: Tensor, settings: Sequence[Any]) -> Any:
        """Return what is computed once a map."""

    def compare(self, prepared: Any, pairs: Tensor, settings: Sequence[Any]) -> PairScores:
        """Return the similarity of each pair."""


def compare_two(metric: Pairwise, a: Tensor, b: Tensor) -> PairScores:
    """Return the scores `[*L, N]` of maps `[N, H, W]`, or `[*L]` of `[H, W]`; L are the lengths of listed fields."""
    if a.shape != b.shape or a.dim() not in (2, 3):
        raise ComponentError(
            f"{type(metric).__name__} compares maps [H, W] or [N, H, W] of one shape; "
            f"got {list(a.shape)} and {list(b.shape)}."
        )
    maps = torch.stack([a, b]).reshape(2, -1, *a.shape[-2:])
    scores = _scores(metric, maps, torch.tensor([[0, 1]])).each(lambda stack: stack[..., 0, :])
    return scores.each(lambda stack: stack[..., 0]) if a.dim() == 2 else scores


def compare_all(metric: Pairwise, maps: Tensor) -> Tensor:
    """Return the similarity `[*L, K, K]` of every pair of maps `[K, H, W]`; L are the lengths of listed fields."""
    if maps.dim() != 3:
        raise ComponentError(f"{type(metric).__name__}.matrix takes maps [K, H, W]; got {list(maps.shape)}.")
    count = len(maps)
    pairs = (
        torch.triu_indices(count, count) if metric.symmetric else torch.ones(count, count).nonzero().T
    ).T.contiguous()
    values = _scores(metric, maps[:, None], pairs).values[..., 0]
    matrix = values.new_empty(*values.shape[:-1], count, count)
    matrix[..., pairs[:, 1], pairs[:, 0]] = values
    matrix[..., pairs[:, 0], pairs[:, 1]] = values
    return matrix


def _scores(metric: Pairwise, maps: Tensor, pairs: Tensor) -> PairScores:
    """Return the scores `[*L, P, N]` of pairs of maps `[K, N, H, W]`; an extra that a setting lacks is NaN."""
    found: dict[Any, PairScores] = {}
    for group in grouped(metric.grid.settings, metric.shares):
        scores = metric.compare(metric.prepare(maps, group), pairs, group)
        for place, setting in enumerate(group):
            found[setting] = scores.each(lambda stack, place=place: stack[place])  # type: ignore[misc]
    own = [found[setting] for setting in metric.grid.settings]
    names = dict.fromkeys(name for scores in own for name in scores.extras)
    missing = torch.full_like(own[0].values, torch.nan)
    extras = {name: torch.stack([scores.extras.get(name, missing) for scores in own]) for name in names}
    every = PairScores(torch.stack([scores.values for scores in own]), extras)
    return every.each(lambda stack: stack.reshape(*metric.grid.shape, *stack.shape[1:]))
