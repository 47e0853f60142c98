"""Hyperparameters of Captum's attributions, read from the signatures of their constructors and `attribute`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any, Literal

from captum.attr import Attribution
from pydantic import create_model

from sam_toolkit import Channels, ComponentError, Params, field

EXECUTION = frozenset({"perturbations_per_eval", "internal_batch_size", "nt_samples_batch_size"})
"""How much is computed at once: never part of a setting, for it changes no map."""

_GIVEN = frozenset({"self", "forward_func", "model", "inputs", "target", "additional_forward_args", "device_ids"})
"""What a call brings along."""

_FORM = frozenset(
    {
        "attr_dim_summation", "custom_attribution_func", "draw_baseline_from_distrib", "grad_kwargs", "kwargs",
        "memory_efficient", "return_convergence_delta", "return_input_shape", "show_progress", "verbose",
    }
)  # fmt: skip
"""What concerns the form of a result, or is code of the caller's."""

_Rule = Literal["riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid", "gausslegendre"]
_Score = Literal["logit", "probability"]
_Statistic = Literal["smoothgrad", "smoothgrad_sq", "vargrad"]

_DECLARED: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "baselines": (float, 0.0, {"help": "what stands for absence, at the network's normalised inputs"}),
    "feature_mask": (int, 8, {"ge": 1, "help": "cells along a side of the grid whose cells are the features"}),
    "interpolate_mode": (Literal["nearest", "bilinear"], "nearest", {"help": "how a layer's grid becomes the map"}),
    "layer": (str, "auto", {"help": "name of a module that returns [N, C, h, w]; auto: the last larger than 1 x 1"}),
    "method": (_Rule, "gausslegendre", {"help": "rule of quadrature along the path"}),
    "neuron_selector": (int, 0, {"ge": 0, "help": "channel of the layer whose sum over its places is explained"}),
    "nt_type": (_Statistic, "smoothgrad", {"help": "of noisy copies' attributions: mean, mean square or variance"}),
    "sliding_window_shapes": (int, 15, {"ge": 1, "help": "side of the square window in pixels, over all channels"}),
    "stdevs": (float, 0.0, {"ge": 0, "help": "standard deviation of the noise on the network's inputs"}),
    "strides": (int, 8, {"ge": 1, "help": "step of the windows in pixels, at most the window's side"}),
}
"""Parameters whose signature does not say what a study could: type, default where captum has none, rules and help."""

SCORE = (_Score, field("logit", help="what of the target is explained: its logit or its probability"))
SEED = (int, field(0, ge=0, help="seed of the draws"))
CHANNELS = (Channels, field("mean", help="how channels become one number, signed or absolute"))


def hyperparameters(owner: str, callables: Iterable[Any], **declared: tuple[Any, Any]) -> type[Params]:
    """Return the Params of `owner`, "module.Class": what `callables` take by number, flag or choice, and `declared`.

    Raises ComponentError where a parameter is of none of these kinds and is not declared.
    """
    found: dict[str, tuple[Any, Any]] = {}
    for each in callables:
        found |= _read(each, {**found, **declared}.keys())
    module, _, name = owner.rpartition(".")
    fields: dict[str, Any] = {**found, **declared}
    params = create_model("Params", __base__=Params, __module__=module, **fields)
    params.__qualname__ = f"{name}.Params"  # where workers find it: on the class, under its name
    return params


def _read(function: Any, known: Iterable[str]) -> dict[str, tuple[Any, Any]]:
    text = inspect.getdoc(function) or ""
    found = {}
    for parameter in inspect.signature(function).parameters.values():
        name, default = parameter.name, parameter.default
        if name in EXECUTION | _GIVEN | _FORM or name in known:
            continue
        if name in _DECLARED:
            kind, usual, rules = _DECLARED[name]
            found[name] = (kind, field(default if type(default) is type(usual) else usual, **rules))
        elif isinstance(default, bool | int | float):
            rules = {"ge": 2 if name == "n_steps" else 1} if type(default) is int else {}
            found[name] = (type(default), field(default, help=_help(name, text), **rules))
        else:
            raise ComponentError(
                f"{function.__qualname__}: parameter {name!r} is no number or flag and none of "
                f"{', '.join(sorted(_DECLARED))}; declare its type and default."
            )
    return found


def _help(name: str, text: str) -> str:
    """Return the first sentence that a docstring in Google's style says of a parameter."""
    found = re.search(
        rf"^\s*{name} \([^)]*\):\s*(.+?)(?:\.\s|\.$|Default|$\n\s*\w+ \()", text, re.MULTILINE | re.DOTALL
    )
    return " ".join(found[1].split()).rstrip(".").lower() if found else name.replace("_", " ")


def takes_function(attribution: type[Attribution]) -> bool:
    """Return whether the attribution explains any function, so that a probability can stand for the logit."""
    return "forward_func" in inspect.signature(attribution.__init__).parameters
