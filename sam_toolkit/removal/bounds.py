"""The change of an attribution that sums up subset values, and its bounds."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from sam_toolkit.bounding import Bound, Chain
from sam_toolkit.errors import ComponentError
from sam_toolkit.removal.assumptions import Assumption, Origin
from sam_toolkit.removal.limits import Change, Limit, product
from sam_toolkit.removal.operators import Operator


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
    measured = float(operator.apply(difference).norm())
    return Chain(str(operator), measured, floor, tuple(bounds), tuple(beside))


def _theorem(operator: Operator, limit: Limit) -> Iterator[Bound]:
    assumptions = (Assumption.SAME_MAP, *limit.assumptions)
    value = product(operator.bound_constant, limit.value)
    yield Bound(f"h x limit by the {limit.change}", value, Origin.PAPER, assumptions, limit.certified)


def _sharper(operator: Operator, limit: Limit) -> Iterator[Bound]:
    assumptions = (Assumption.SAME_MAP, *limit.assumptions)
    found = operator.sharper
    constant = found.input if limit.change is Change.SHOWN else found.model
    value = product(constant, limit.sharper)
    yield Bound(f"sharper constant x limit by the {limit.change}", value, Origin.OURS, assumptions, limit.certified)
