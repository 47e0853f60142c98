"""Short texts for values, settings, metrics and inputs, which reports show and rows are told apart by."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from typing import Any

from pydantic_core import to_jsonable_python

from sam_toolkit.choice import Choice
from sam_toolkit.component import MapMetric, ModelPerturbation, PairMetric, Perturbation
from sam_toolkit.types import Params

_DIGITS, _LEVELS = 6, 64
"""A number with more digits may be meant as a level of 255, if a low one: 1/3 is none."""


def value_text(value: Any) -> str:
    """Return a hyperparameter's value as a study file writes it: "50", "0.1", "true", "[0.5, 0.5, 0.5]", "8/255"."""
    if isinstance(value, Choice):
        return str(value)
    if isinstance(value, float) and value != round(value, _DIGITS) and 255 * abs(value) <= _LEVELS:
        level = round(255 * value)
        value = f"{level}/255" if math.isclose(255 * value, level) else value
    plain = to_jsonable_python(value, fallback=str)
    if isinstance(plain, str):
        return plain
    if isinstance(plain, dict):
        return "{" + ", ".join(f"{key}: {value_text(item)}" for key, item in plain.items()) + "}"
    if isinstance(plain, list):
        return "[" + ", ".join(map(value_text, plain)) + "]"
    return json.dumps(plain).removesuffix(".0")


def setting_text(params: Params, default: Params | None, only: Collection[str] | None = None) -> str:
    """Return "samples=200, spread=0.3": fields in `only` (None: any) that differ from `default` (None: all).

    Empty where there are none.
    """
    names = [name for name in type(params).model_fields if only is None or name in only]
    return ", ".join(
        _text(params, name) for name in names if default is None or getattr(params, name) != getattr(default, name)
    )


def metric_text(metric: type[PairMetric[Any] | MapMetric[Any]], params: Params, among: Sequence[Params] = ()) -> str:
    """Return "ssim", or "ssim window=7" with the fields that differ from their own defaults or within `among`."""
    swept = {name for name in type(params).model_fields if len({getattr(each, name) for each in among}) > 1}
    return _named(metric.name, params, swept | _unusual(params))


def perturbation_text(
    perturbation: type[Perturbation[Any] | ModelPerturbation[Any]], params: Params, without: str = ""
) -> str:
    """Return "gaussian-noise sigma=0.1": fields that were given or differ from their defaults, but for `without`."""
    return _named(perturbation.name, params, (params.model_fields_set | _unusual(params)) - {without})


def _unusual(params: Params) -> set[str]:
    """Return the fields that differ from their own defaults; one without a default is always among them."""
    return {
        name
        for name, info in type(params).model_fields.items()
        if info.is_required() or getattr(params, name) != info.get_default(call_default_factory=True)
    }


def _named(component: str, params: Params, names: Collection[str]) -> str:
    return " ".join([component, *(_text(params, name) for name in type(params).model_fields if name in names)])


def _text(params: Params, name: str) -> str:
    return f"{name}={value_text(getattr(params, name))}"
