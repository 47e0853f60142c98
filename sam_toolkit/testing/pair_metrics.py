"""The contract of similarities of two maps."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sam_toolkit.component import PairMetric, PairScores
from sam_toolkit.errors import ComponentError, OpError
from sam_toolkit.testing.declarations import check_declarations
from sam_toolkit.testing.examples import small_batch, small_maps
from sam_toolkit.testing.settings import class_and_setting, settings_in_groups
from sam_toolkit.testing.surroundings import left_as_found, random_states_kept, reseed
from sam_toolkit.testing.verdict import ConformanceError, require, require_same, require_stack
from sam_toolkit.types import Params

Settings = Sequence[Any]
_MAPS = 5


def check_pair_metric(
    metric: type[PairMetric[Any]] | PairMetric[Any],
    settings: Sequence[Params] | None = None,
    maps: Tensor | None = None,
) -> None:
    """Raise ConformanceError where a pair metric breaks its contract; takes seconds with the defaults.

    Args:
        metric: a class, or an instance whose setting replaces the defaults.
        settings: what it is checked with; without them the defaults and their neighbours.
        maps: at least two maps `[K, N, H, W]` of each of at least two images, none of them constant, float32
            in [-1, 1]; without them `small_maps(5, small_batch())`.
    """
    component, base = class_and_setting(metric)
    check_declarations(component)
    maps = small_maps(_MAPS, small_batch()) if maps is None else maps
    trial = _Trial(component, maps)
    base = _ranged(component, settings[0] if settings else base)
    given = [_ranged(component, setting) for setting in settings] if settings else None
    with random_states_kept():
        groups = settings_in_groups(component, base, given, trial.accepts)
        for group in groups:
            _check_reproducible(trial, group)
            _check_values(trial, group)
            _check_same(trial, group)
        _check_calls(trial, groups[0])


@dataclass(frozen=True)
class _Trial:
    """A metric with the maps that it is checked on."""

    component: type[PairMetric[Any]]
    maps: Tensor

    @property
    def who(self) -> str:
        """Return its name in messages."""
        return f"{self.component.__name__}.compare"

    def pairs(self) -> Tensor:
        """Return every ordered pair, and some twice."""
        every = torch.ones(len(self.maps), len(self.maps)).nonzero()
        return torch.cat([every, every[:2]])

    def run(self, settings: Settings, maps: Tensor | None = None, pairs: Tensor | None = None) -> Tensor:
        """Return values and extras of prepared maps as one stack `[S, E, P, N]`."""
        maps = self.maps if maps is None else maps
        return self.compare(self.component(settings[0]).prepare(maps, settings), settings, maps, pairs)

    def compare(self, prepared: Any, settings: Settings, maps: Tensor, pairs: Tensor | None = None) -> Tensor:
        """Return values and extras as one stack `[S, E, P, N]`; shapes and dtype are checked."""
        pairs = self.pairs() if pairs is None else pairs
        scores = self.component(settings[0]).compare(prepared, pairs, settings)
        require(
            isinstance(scores, PairScores), self.who, f"returns {type(scores).__name__}.", "Return PairScores(values)."
        )
        due = (len(settings), len(pairs), maps.shape[1])
        require_stack(scores.values, due, torch.float64, self.who, "[S, P, N]")
        for name, extra in scores.extras.items():
            shape = tuple(extra.shape)
            require(
                shape == due,
                self.who,
                f"extra {name!r} is {shape} where {due} is due.",
                "Give it the shape of the values.",
            )
        return torch.stack([scores.values, *(scores.extras[name].double() for name in sorted(scores.extras))], dim=1)

    def accepts(self, setting: Any) -> bool:
        """Return whether the metric takes the setting for these maps, or refuses it with ComponentError."""
        try:
            self.run([setting])
        except ConformanceError:
            raise
        except (ComponentError, OpError):
            return False
        return True

    def same(self, actual: Tensor, expected: Tensor, settings: Settings, when: str, advice: str) -> None:
        """Raise ConformanceError unless two stacks agree within the metric's tolerance."""
        require_same(actual, expected, self.component.tolerance, list(settings), f"{self.who}, {when}", advice)


def _ranged(component: type[PairMetric[Any]], setting: Params) -> Any:
    """Return the setting for maps in [-1, 1], after a check that asking again changes nothing."""
    ranged = component(setting).for_range(setting, -1.0, 1.0)
    again = component(ranged).for_range(ranged, -2.0, 2.0)
    found = f"makes {ranged!r} of {setting!r} for [-1, 1], and then {again!r} for [-2, 2]."
    who = f"{component.__name__}.for_range"
    require(isinstance(ranged, type(setting)) and again == ranged, who, found, "Fill in what is open, and only that.")
    return ranged


def _check_reproducible(trial: _Trial, group: Settings) -> None:
    pairs = trial.pairs()
    with left_as_found(trial.who, nn.Identity(), {"maps": trial.maps, "pairs": pairs}):
        expected = trial.run(group, pairs=pairs)
    reseed(1)
    trial.same(trial.run(group), expected, group, "run again after other global random seeds", "Draw nothing.")


def _check_values(trial: _Trial, group: Settings) -> None:
    """Require bounds, 1 for equal maps, and symmetry."""
    values = trial.run(group)[:, 0]
    low, high = trial.component.bounds
    slack = trial.component.tolerance
    extremes = float(values.min()), float(values.max())
    found = f"promises values in [{low:g}, {high:g}]; they go from {extremes[0]:.6g} to {extremes[1]:.6g}."
    held = low - slack <= extremes[0] and extremes[1] <= high + slack
    require(held, f"{trial.component.__name__}.bounds", found, "Declare bounds that hold for all maps.")
    count = len(trial.maps)
    square = values[:, : count * count].reshape(len(group), count, count, -1)
    own = square.diagonal(dim1=1, dim2=2)
    advice = "A map compared with itself gives the upper bound: 1 for a similarity."
    if all(trial.component(setting).keeps_identity(setting) for setting in group):
        trial.same(own, torch.full_like(own, high), group, "a map with itself", advice)
    if trial.component.symmetric:
        advice = "Make it symmetric, or declare `symmetric = False`."
        trial.same(square.transpose(1, 2), square, group, "the two maps of a pair exchanged", advice)


def _check_same(trial: _Trial, group: Settings) -> None:
    """Require that what is computed together is what is computed alone, in any order."""
    expected = trial.run(group)
    singles = torch.cat([trial.run([setting]) for setting in group])
    trial.same(
        expected, singles, group, "group against settings one by one", "Share only what is the same for all settings."
    )
    trial.same(
        trial.run(group[::-1]).flip(0),
        expected,
        group,
        "settings in reverse order",
        "Values [i] belong to settings[i].",
    )
    order = torch.randperm(len(trial.pairs()), generator=torch.Generator().manual_seed(0))[::2]
    moved = trial.run(group, pairs=trial.pairs()[order])
    trial.same(
        moved, expected[:, :, order], group, "some of the pairs in another order", "Compare each pair by itself."
    )
    backwards = trial.run(group, trial.maps.flip(0), len(trial.maps) - 1 - trial.pairs())
    trial.same(backwards, expected, group, "maps in reverse order", "Prepare each map by itself.")
    alone = torch.cat([trial.run(group, trial.maps[:, n : n + 1]) for n in range(trial.maps.shape[1])], dim=-1)
    trial.same(alone, expected, group, "images one by one against a batch", "Compute no statistic over the images.")
    _check_prepared_once(trial, group, expected)


def _check_prepared_once(trial: _Trial, group: Settings, expected: Tensor) -> None:
    prepared = trial.component(group[0]).prepare(trial.maps, group)
    trial.compare(prepared, group, trial.maps)
    advice = "compare() must not write to what prepare() returned."
    trial.same(trial.compare(prepared, group, trial.maps), expected, group, "prepared maps used twice", advice)


def _check_calls(trial: _Trial, group: Settings) -> None:
    """Require that matrix() and a call agree with compare(), and that constant maps are survived."""
    component, count = trial.component(group[0]), len(trial.maps)
    expected = trial.run(group[:1])[0, 0, : count * count, 0].reshape(count, count)
    advice = "Leave `matrix` and `__call__` of PairMetric as they are, or make them agree with compare()."
    who = f"{trial.component.__name__}"
    require_same(
        component.matrix(trial.maps[:, 0])[None],
        expected[None],
        component.tolerance,
        [group[0]],
        f"{who}.matrix",
        advice,
    )
    called = component(trial.maps[0], trial.maps[1])[:1]
    require_same(called[None], expected[None, 0, 1:2], component.tolerance, [group[0]], f"{who}.__call__", advice)
    _check_constant_maps(trial, group)


def _check_constant_maps(trial: _Trial, group: Settings) -> None:
    """Require a value or NaN, and neither an exception nor a warning, where maps do not vary."""
    flat = torch.zeros_like(trial.maps[:1])
    maps = torch.cat([flat, flat + 0.5, trial.maps[:1]])
    pairs = torch.tensor([[0, 0], [0, 1], [0, 2], [2, 1], [1, 1]])
    component = trial.component(group[0])
    who = f"{trial.who}, constant maps"
    advice = "Return NaN where the metric is undefined, and a number elsewhere."
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            values = component.compare(component.prepare(maps, group), pairs, group).values
    except Exception as error:
        raise ConformanceError(f"{who}: raises {type(error).__name__}: {error} {advice}") from error
    infinite = int(values.isinf().sum())
    require(infinite == 0, who, f"{infinite} of {values.numel()} values are infinite.", advice)
