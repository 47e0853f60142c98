"""How far attributions can move: from a change of the input or the model to that of each value, and to the sum."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from sam_toolkit.errors import ComponentError
from sam_toolkit.removal.assumptions import Assumption, Origin
from sam_toolkit.removal.lipschitz import Lipschitz
from sam_toolkit.removal.operators import Operator

_ROUNDING = 1e-9
"""Share of a bound by which float64 sums may exceed it."""


@dataclass(frozen=True)
class Bound:
    """An upper bound on the Euclidean change of an attribution, with what it rests on.

    Attributes:
        name: the step it comes from.
        value: not negative; infinite where theory gives nothing.
        origin: who proved it.
        assumptions: at least one.
        certified: False where it rests on an estimate and may be exceeded.
    """

    name: str
    value: float
    origin: Origin
    assumptions: tuple[Assumption, ...]
    certified: bool = True

    def __post_init__(self) -> None:
        """Refuse a bound without its assumptions, and one that bounds nothing."""
        if not self.assumptions or not self.value >= 0:
            raise ComponentError(
                f"Bound {self.name!r} needs a value of at least 0 and what it assumes; "
                f"got {self.value} and {len(self.assumptions)} assumptions."
            )

    def __str__(self) -> str:
        kind = "bound" if self.certified else "estimate, no certificate"
        return f"{self.name} <= {self.value:.6g} ({kind}; {self.origin}), if {'; '.join(self.assumptions)}"


class Change(StrEnum):
    """What a limit on the change of values is about."""

    SHOWN = "input shown"
    """|change of v_S| <= g |delta_S|: only the change of the players that S shows counts."""
    WHOLE = "whole input"
    """|change of v_S| <= g |delta|: what stands in for the others changes too."""
    MODEL = "model"


@dataclass(frozen=True)
class Limit:
    """A bound on the change of every subset's value.

    Attributes:
        value: by the paper's lemma.
        sharper: the same with the range of scores in place of 2 B; equal where that makes no difference.
        change: what changed.
        assumptions: of both.
        certified: False where it rests on an estimate.
    """

    value: float
    sharper: float
    change: Change
    assumptions: tuple[Assumption, ...]
    certified: bool = True


def fixed_removal(lipschitz: Lipschitz, distance: float, imputation: float | None = None) -> Limit:
    """Return the limit L |delta| for inputs at `distance` |delta| under a baseline or marginal removal.

    A baseline that depends on the input, such as its blur, needs `imputation`, the largest Lipschitz constant of the
    maps from the input to an imputed one.
    """
    _check("distance", distance)
    if imputation is None:
        value, change, means = lipschitz.value * distance, Change.SHOWN, Assumption.FIXED
    else:
        _check("imputation", imputation)
        value, change, means = lipschitz.value * imputation * distance, Change.WHOLE, Assumption.IMPUTATION
    return Limit(value, value, change, (means, *lipschitz.assumptions), lipschitz.certified)


def conditional_removal(
    lipschitz: Lipschitz,
    distance: float,
    variation: float,
    *,
    supremum: float = 1.0,
    oscillation: float | None = None,
    gaussian: bool = False,
) -> Limit:
    """Return the limit (L + 2 B M) |delta| under conditional removal; the sharper one has the range of scores for 2 B.

    Args:
        lipschitz: L.
        distance: |delta|.
        variation: M, Lipschitz constant of the conditional law in total variation: `gaussian_variation`, or 0 where
            players are independent. Infinite: theory gives nothing.
        supremum: B, the largest |score|; 1 for probabilities.
        oscillation: largest less smallest score; 2 B by default, 1 for probabilities.
        gaussian: whether M is that of a Gaussian.
    """
    _check("distance", distance)
    low, high = _scores(supremum, oscillation)
    slopes = [_product(factor, variation) + lipschitz.value for factor in (high, low)]
    value, sharper = (_product(distance, slope) for slope in slopes)
    law = Assumption.GAUSSIAN if gaussian else Assumption.VARIATION
    assumptions = (Assumption.CONDITIONAL, law, *_range(oscillation), *lipschitz.assumptions)
    return Limit(value, sharper, Change.SHOWN, assumptions, lipschitz.certified)


def model_change(
    distance: float, *, inside: float | None = None, supremum: float = 1.0, oscillation: float | None = None
) -> Limit:
    """Return the limit on the change of values between two models, |f - f'| Q + 2 B (1 - Q).

    Args:
        distance: largest |f - f'|: at every input by default, else on the domain that `inside` speaks of.
        inside: Q, the smallest probability that an imputed input lies in that domain: 1 for conditional removal and
            the support of the data. None: the distance is that over all inputs, as baseline and marginal need.
        supremum: B, the largest |score| of either model; 1 for probabilities.
        oscillation: largest less smallest score of both models; 2 B by default.
    """
    _check("distance", distance)
    if inside is None:
        return Limit(distance, distance, Change.MODEL, (Assumption.EVERYWHERE,))
    if not 0 <= inside <= 1:
        raise ComponentError(f"inside is a share, from 0 to 1; got {inside}.")
    low, high = _scores(supremum, oscillation)
    value, sharper = (_product(inside, distance) + factor * (1 - inside) for factor in (high, low))
    return Limit(value, sharper, Change.MODEL, (Assumption.ON_DOMAIN, *_range(oscillation)))


@dataclass(frozen=True)
class Step:
    """A bound in a chain.

    Attributes:
        bound: what the chain comes to here.
        tightness: measured change over the bound; NaN for 0 / 0.
        slack: the step before over this one, the measured change before the first: what is lost here.
    """

    bound: Bound
    tightness: float
    slack: float


@dataclass(frozen=True, eq=False)
class Chain:
    """A measured change of an attribution and what bounds it.

    Attributes:
        operator: the summary.
        change: the attribution after less that before, float64 `[d]`.
        floor: the Euclidean change between two runs that differ in nothing; 0 for one fixed operator and network.
        bounds: each at most the next one: from evaluated values, from the largest of them, and from the perturbation.
        beside: other bounds on the same change, in no order among them.
    """

    operator: Operator
    change: Tensor
    floor: float
    bounds: tuple[Bound, ...]
    beside: tuple[Bound, ...]

    @property
    def measured(self) -> float:
        """Return the Euclidean length of the change."""
        return float(self.change.norm())

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return the chain with what is lost at each step."""
        values = [self.measured, *(bound.value for bound in self.bounds)]
        return tuple(
            Step(bound, _ratio(self.measured, bound.value), _ratio(before, bound.value))
            for bound, before in zip(self.bounds, values, strict=False)
        )

    @property
    def broken(self) -> tuple[Bound, ...]:
        """Return the certified bounds that the measured change, or the bound before them, exceeds: none, by proof."""
        values = [self.measured, *(bound.value for bound in self.bounds)]
        before = [*values[:-1], *[self.measured] * len(self.beside)]
        pairs = zip(before, (*self.bounds, *self.beside), strict=True)
        return tuple(bound for lower, bound in pairs if bound.certified and lower > bound.value * (1 + _ROUNDING))

    def __str__(self) -> str:
        """Return a table of all bounds, each with the numbers of its assumptions, which stand below it."""
        known = list(dict.fromkeys(text for bound in (*self.bounds, *self.beside) for text in bound.assumptions))
        head = f"{self.operator}: the attribution moved by {self.measured:.4g} (noise floor {self.floor:.4g})"
        rows = [
            *(_row(step.bound, step.tightness, f"{step.slack:8.3f}", known) for step in self.steps),
            *(_row(bound, _ratio(self.measured, bound.value), " " * 8, known) for bound in self.beside),
        ]
        title = f"  {'at most':44} {'value':>10} {'tightness':>9} {'step':>8}"
        notes = [f"  [{number}] {text}" for number, text in enumerate(known, start=1)]
        return "\n".join([head, title, *rows, "if", *notes])


def chain(operator: Operator, before: Tensor, after: Tensor, limit: Limit | None = None, floor: float = 0.0) -> Chain:
    """Return the measured change of an attribution and its bounds, from the subset values `[M]` of two games.

    Args:
        operator: what makes attributions of values: one summary, or one realised operator for both games.
        before: values of the first input or model.
        after: values of the second one, of the same subsets.
        limit: what is known of the change of any value; None: the chain ends with what was evaluated.
        floor: the Euclidean change of the attribution between two runs that differ in nothing.

    Raises:
        ComponentError: values that do not fit the operator, or are not finite.
    """
    difference = after.double() - before.double()
    if difference.dim() != 1 or not bool(difference.isfinite().all()):
        raise ComponentError(f"A chain takes finite values [M] of two games; got {list(difference.shape)}.")
    largest, same = float(difference.abs().max()), (Assumption.SAME_MAP,)
    bounds = [
        Bound("change of each evaluated value", float(operator.pair_bound(difference)), Origin.OURS, same),
        Bound("h x largest evaluated change", operator.bound_constant * largest, Origin.PAPER, same),
    ]
    beside = [
        Bound(
            "spectral norm x length of the changes",
            operator.spectral_norm * float(difference.norm()), Origin.PAPER, same,
        ),
        Bound("sharper constant x largest evaluated change", operator.sharper.model * largest, Origin.OURS, same),
    ]  # fmt: skip
    if limit is not None:
        bounds += _theorem(operator, limit)
        beside += _sharper(operator, limit)
    return Chain(operator, operator.apply(difference), floor, tuple(bounds), tuple(beside))


def pair_lipschitz(masks: Tensor, change: Tensor, delta: Tensor) -> Lipschitz:
    """Return the steepest slope between two inputs, max_S |change of v_S| / |delta_S|, over evaluated subsets.

    It needs no constant of the network, and bounds this pair only. It is infinite where a value changed though no
    player that it shows did, as it does with a fixed removal through rounding alone.

    Args:
        masks: bool `[M, d]`.
        change: of their values, `[M]`.
        delta: Euclidean change of each player, `[d]`.
    """
    lengths = (masks.double() @ delta.double() ** 2).sqrt()
    moved = change.double().abs()
    slopes = torch.where(moved == 0, 0.0, moved / lengths)
    return Lipschitz(float(slopes.max()), (Assumption.PAIR_SLOPE,))


def _theorem(operator: Operator, limit: Limit) -> Iterator[Bound]:
    assumptions = (Assumption.SAME_MAP, *limit.assumptions)
    value = _product(operator.bound_constant, limit.value)
    yield Bound(f"h x limit by the {limit.change}", value, Origin.PAPER, assumptions, limit.certified)


def _sharper(operator: Operator, limit: Limit) -> Iterator[Bound]:
    assumptions = (Assumption.SAME_MAP, *limit.assumptions)
    found = operator.sharper
    constant = found.input if limit.change is Change.SHOWN else found.model
    value = _product(constant, limit.sharper)
    yield Bound(f"sharper constant x limit by the {limit.change}", value, Origin.OURS, assumptions, limit.certified)


def _row(bound: Bound, tightness: float, slack: str, known: list[Assumption]) -> str:
    notes = ",".join(str(known.index(text) + 1) for text in bound.assumptions)
    kind = "" if bound.certified else "estimate, no certificate; "
    return f"  {bound.name:44} {bound.value:10.4g} {tightness:9.3f} {slack}  [{notes}] {kind}{bound.origin}"


def _scores(supremum: float, oscillation: float | None) -> tuple[float, float]:
    """Return the range of scores and 2 B, which it does not exceed."""
    _check("supremum", supremum)
    twice = 2 * supremum
    if oscillation is None:
        return twice, twice
    _check("oscillation", oscillation)
    return min(oscillation, twice), twice


def _range(oscillation: float | None) -> tuple[Assumption, ...]:
    return (Assumption.SUPREMUM,) if oscillation is None else (Assumption.SUPREMUM, Assumption.OSCILLATION)


def _check(name: str, value: float) -> None:
    if not 0 <= value < math.inf:
        raise ComponentError(f"{name} is finite and not negative; got {value}.")


def _product(first: float, second: float) -> float:
    """Return the product, in which nothing times infinity is nothing: without a change there is none to bound."""
    return 0.0 if 0 in (first, second) else first * second


def _ratio(part: float, whole: float) -> float:
    if whole == 0:
        return math.nan if part == 0 else math.inf
    return part / whole
