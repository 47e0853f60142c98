"""A plain function as an attribution method."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypedDict, Unpack, get_type_hints

import torch
from pydantic import create_model
from torch import Tensor

from sam_toolkit.component import MapFacts, Method
from sam_toolkit.errors import ComponentError
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch, Params

Shape = tuple[int, int, int]
"""(C, H, W)."""

_GIVEN = ("model", "batch", "rng")


class Declared(TypedDict, total=False):
    """What a function cannot say by itself.

    Attributes:
        name: what a study file says; else the function's name, in kebab-case.
        reference: the paper or text that defines the method.
        version: raised when the same settings give other numbers.
        rows: network rows an image, or a function of the setting and the image's (C, H, W); 1 by default.
        gradients: whether rows go backward too.
        signed: whether evidence against the target is negative; True by default.
        value_range: bounds that hold by construction.
    """

    name: str
    reference: str
    version: str
    rows: int | Callable[[Any, Shape], int]
    gradients: bool
    signed: bool
    value_range: tuple[float, float]


def method(**declared: Unpack[Declared]) -> Callable[[Callable[..., Tensor]], type[Method[Any]]]:
    """Return a decorator that makes a method of a function of (model, batch, rng) that returns maps `[N, H, W]`.

    Its keyword-only parameters are the hyperparameters; declare each with a type and `field(default, help=...)`. `rng`
    can be left out where nothing is drawn. Settings are computed one by one: derive from Method to share work.
    Raises ComponentError where the function has other parameters, or a hyperparameter has no type.
    """

    def decorate(function: Callable[..., Tensor]) -> type[Method[Any]]:
        return _method(function, declared)

    return decorate


def _method(function: Callable[..., Tensor], declared: Declared) -> type[Method[Any]]:
    params = _params(function)
    given = len(_positional(function))
    facts = MapFacts(declared.get("signed", True), declared.get("value_range"))
    cost = declared.get("rows", 1)

    class FromFunction(Method[params]):  # type: ignore[valid-type]
        name = declared.get("name", function.__name__.replace("_", "-"))
        reference = declared.get("reference", "")
        version = declared.get("version", "1")
        gradients = declared.get("gradients", False)

        def facts(self, params: Any) -> MapFacts:
            return facts

        def rows(self, settings: Sequence[Any], shape: Shape) -> int:
            return sum(cost(setting, shape) if callable(cost) else cost for setting in settings)

        def maps(self, model: Model, batch: Batch, settings: Sequence[Any], rng: Rng) -> Tensor:
            said = (model, batch, rng)[:given]
            return torch.stack([function(*said, **dict(setting)) for setting in settings])

    FromFunction.__doc__ = function.__doc__
    FromFunction.__name__ = "".join(part.capitalize() for part in function.__name__.split("_"))
    FromFunction.__module__, FromFunction.__qualname__ = function.__module__, function.__qualname__
    return FromFunction


def _params(function: Callable[..., Tensor]) -> type[Params]:
    """Return the function's keyword-only parameters as hyperparameters."""
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            continue
        if parameter.name not in hints:
            raise ComponentError(
                f"{function.__name__}: hyperparameter {parameter.name!r} needs a type, as in `: float`."
            )
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints[parameter.name], default)
    params = create_model("Params", __base__=Params, __module__=function.__module__, **fields)
    params.__qualname__ = f"{function.__qualname__}.Params"  # where workers find it: on the class, under its name
    return params


def _positional(function: Callable[..., Tensor]) -> list[str]:
    """Return what the function takes besides hyperparameters; raises ComponentError where that is not as agreed."""
    parameters = inspect.signature(function).parameters.values()
    found = [str(each) for each in parameters if each.kind is not each.KEYWORD_ONLY]
    names = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    if tuple(names) not in (_GIVEN, _GIVEN[:2]) or len(found) != len(names):
        raise ComponentError(
            f"{function.__name__}: a method takes (model, batch) or (model, batch, rng), then hyperparameters after "
            f"a star; got ({', '.join(found)})."
        )
    return names
