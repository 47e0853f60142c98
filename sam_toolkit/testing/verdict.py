"""What a check says when a component breaks its contract."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sam_toolkit.errors import SamError
from sam_toolkit.types import Params


class ConformanceError(SamError, AssertionError):
    """A component breaks its contract; the message says which rule, by how much, and what to change."""


def require(holds: bool, who: str, found: str, advice: str) -> None:
    """Raise ConformanceError with what was found and what to do about it, unless the rule `holds`."""
    if not holds:
        raise ConformanceError(f"{who}: {found} {advice}")


def in_words(setting: Params) -> str:
    """Return the fields of a setting that are not at their default."""
    fields = type(setting).model_fields
    changed = [f"{name}={value!r}" for name, value in setting if value != fields[name].default]
    return f"({', '.join(changed)})" if changed else "(all defaults)"


def require_same(
    actual: Tensor, expected: Tensor, tolerance: float, settings: list[Params], who: str, advice: str
) -> None:
    """Raise ConformanceError unless values `[S, ...]` agree within `tolerance` of each setting's largest."""
    if actual.numel() == 0:
        return
    gap = (actual.double() - expected.double()).abs()
    gap = gap.masked_fill(actual.isnan() & expected.isnan(), 0).nan_to_num(nan=torch.inf).flatten(1).amax(1)
    largest = expected.double().nan_to_num().abs().flatten(1).amax(1)
    worst = int((gap - tolerance * largest).argmax())
    require(
        bool(gap[worst] <= tolerance * largest[worst]),
        who,
        f"the values of setting {in_words(settings[worst])} differ by {float(gap[worst]):.3g}, where the "
        f"largest |value| is {float(largest[worst]):.3g} and `tolerance` {tolerance:g} of it is allowed.",
        advice,
    )


def require_stack(values: Any, shape: tuple[int, ...], dtype: torch.dtype, who: str, axes: str) -> None:
    """Raise ConformanceError unless `values` is a finite tensor of `shape` and `dtype`."""
    got: Any = list(values.shape) if isinstance(values, Tensor) else type(values).__name__
    advice = f"Return one tensor {axes}: settings first, each in the order given."
    require(
        isinstance(values, Tensor) and tuple(values.shape) == shape,
        who,
        f"returns {got} where {list(shape)} is due.",
        advice,
    )
    require(
        values.dtype == dtype, who, f"returns {values.dtype} where {dtype} is due.", f"Convert the result to {dtype}."
    )
    bad = int((~torch.isfinite(values)).sum())
    require(
        bad == 0,
        who,
        f"{bad} of {values.numel()} values are not finite (NaN or infinite).",
        "Look for divisions by zero and logarithms of it.",
    )
