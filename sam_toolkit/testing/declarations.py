"""What a component says of itself: its name, its reference, its hyperparameters."""

from __future__ import annotations

import json
import re
from typing import Any

from sam_toolkit.component import KINDS, Component, MapMetric, Method, ModelPerturbation, PairMetric, Perturbation
from sam_toolkit.testing.verdict import require
from sam_toolkit.types import Params

_FROM_LITERATURE = (Method, Perturbation, ModelPerturbation, PairMetric, MapMetric)
"""Kinds whose numbers have to be defined somewhere."""


def check_declarations(component: type[Component[Any]]) -> None:
    """Raise ConformanceError unless all that users are shown of a component is there and keeps the rules.

    It is all there is to check of model sources, image sources and reporters; the checks of the other kinds call it.
    """
    who = component.__name__
    advice = "Derive it from Method, PairMetric, Reporter or another kind."
    require(issubclass(component, KINDS), who, "is of no kind that a plugin may add.", advice)
    missing = ", ".join(sorted(component.__abstractmethods__))
    require(not missing, who, "is abstract.", f"Write {missing}.")
    name = getattr(component, "name", None)
    kebab = isinstance(name, str) and re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) is not None
    require(kebab, who, f"`name` is {name!r}.", "Give it a kebab-case name: what a study file says.")
    _require_text(who, "version", component.version, 'It is part of every key: start with "1".')
    if issubclass(component, _FROM_LITERATURE):
        _require_text(who, "reference", component.reference, "Say which paper or text defines it.")
    advice = "Its first paragraph is what `sam-toolkit list` shows."
    _require_text(who, "docstring", component.__dict__.get("__doc__"), advice)
    _check_params(component, component.Params)


def _require_text(who: str, what: str, text: Any, advice: str) -> None:
    require(isinstance(text, str) and bool(text.strip()), who, f"`{what}` is {text!r}.", advice)


def _check_params(component: type[Component[Any]], params: type[Params]) -> None:
    who = f"{component.__name__}.Params"
    require(issubclass(params, Params), who, f"is {params!r}.", "Derive it from sam_toolkit.Params.")
    config = params.model_config
    require(config.get("frozen") is True, who, "can be changed in place.", "Leave `frozen` of Params as it is.")
    require(config.get("extra") == "forbid", who, "takes unknown fields.", "Leave `extra` of Params as it is.")
    for name, field in params.model_fields.items():
        require(bool(field.description), who, f"{name} has no help.", 'Declare it with field(..., help="...").')
    if not any(field.is_required() for field in params.model_fields.values()):
        _check_round_trip(component, component.setting())


def _check_round_trip(component: type[Component[Any]], setting: Params) -> None:
    again = component.setting(**json.loads(setting.canonical()))
    require(
        again == setting and hash(again) == hash(setting),
        f"{component.__name__}.Params",
        f"the defaults written as JSON, {setting.canonical()}, are read back as {again!r}.",
        "Use types that JSON holds: numbers, text, tuples, Literal, Path.",
    )
