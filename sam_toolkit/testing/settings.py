"""Settings to check a component with, where its author gives none: the defaults and their neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from itertools import islice
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import ValidationError

from sam_toolkit.component import Component
from sam_toolkit.errors import ComponentError
from sam_toolkit.study.grouping import Grouped, groups
from sam_toolkit.testing.verdict import ConformanceError
from sam_toolkit.types import Params

P = TypeVar("P", bound=Params)
C = TypeVar("C", bound=Component[Any])

_FREE = (None, False, True, 1, 2, 0.5)
"""What is tried for a field whose default is no number, besides the choices that its type lists."""
_COSTLY = 16
"""Network rows an image above which a default is lowered, so that a check takes seconds."""


def class_and_setting(component: type[C] | C) -> tuple[type[C], Any]:
    """Return the class with the setting that the checks start from: an instance's own, or the defaults.

    Raises ConformanceError where there are no defaults to start from.
    """
    if not isinstance(component, type):
        return type(component), component.params
    try:
        return component, component.setting()
    except ComponentError as error:
        raise ConformanceError(
            f"{component.__name__}: has no setting to start from. {error} Give every field a default, "
            f"or check an instance: {component.__name__}(...)."
        ) from None


def affordable(params: P, rows: Callable[[P], int], most: int = _COSTLY) -> P:
    """Return `params` with the whole numbers halved that cost more than `most` network rows an image."""
    for name in type(params).model_fields:
        lower = _halved(params, name)
        while lower is not None and rows(params) > most and rows(lower) < rows(params):
            params, lower = lower, _halved(lower, name)
    return params


def _halved(params: P, name: str) -> P | None:
    value = getattr(params, name)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return next(_valid(params, name, [value // 2]), None) if whole else None


def settings_in_groups(
    component: type[Grouped], base: P, given: Sequence[P] | None, accepted: Callable[[P], bool]
) -> list[tuple[P, ...]]:
    """Return settings in groups that one call may compute: the given ones, or `base` and its neighbours.

    Each field that needs a computation of its own is moved, and the shared fields are in each such group.
    Neighbours that the component refuses with ComponentError are left out.
    """
    if given:
        return groups(component, given)  # type: ignore[return-value]
    shared = component(base).shares(base)
    anchors = [base, *_neighbours(base, set(type(base).model_fields) - shared)]
    found: list[tuple[P, ...]] = []
    for anchor in anchors:
        fields = component(anchor).shares(anchor)
        near = _neighbours(anchor, fields)
        alike = [setting for setting in near if component(setting).shares(setting) == fields]
        group = tuple(setting for setting in (anchor, *alike) if setting is base or accepted(setting))
        found += [group] if group else []
    return found


def _neighbours(params: P, fields: Iterable[str]) -> list[P]:
    """Return valid settings that differ from `params` in one of `fields`: every choice, and a few numbers."""
    found: list[P] = []
    for name, field in type(params).model_fields.items():
        if name in fields:
            choices = list(_choices(field.annotation))
            numbers = _valid(params, name, [*_numbers(getattr(params, name)), *_bounds(field.metadata)])
            found += [*_valid(params, name, choices), *islice(numbers, 1 if choices else 2)]
    return list(dict.fromkeys(found))


def _valid(params: P, name: str, values: Iterable[Any]) -> Iterator[P]:
    """Yield the settings with one of `values` that keep every rule and differ from `params`, each once."""
    seen = {params.canonical()}
    for value in values:
        try:
            setting = params.varied(**{name: value})
        except ValidationError:
            continue
        if setting.canonical() not in seen:
            seen.add(setting.canonical())
            yield setting


def _choices(annotation: Any) -> Iterator[Any]:
    """Yield what a type lists one by one: literals, members of an enumeration, None, the truth values."""
    if annotation is None or annotation is type(None):
        yield None
    elif annotation is bool:
        yield from (False, True)
    elif get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif isinstance(annotation, type) and issubclass(annotation, Enum):
        yield from annotation
    elif get_origin(annotation) in (Union, UnionType):
        yield from (choice for option in get_args(annotation) for choice in _choices(option))


def _numbers(value: Any) -> tuple[Any, ...]:
    """Return numbers next to `value`, above and below in turn, the closest first."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _FREE
    if isinstance(value, int):
        return value + 1, value - 1, value + 2, value - 2
    return 1.5 * value, 0.5 * value, value + 0.1


def _bounds(rules: Sequence[Any]) -> Iterator[Any]:
    """Yield the bounds that a field's rules set, and what is next to them."""
    for bound in (getattr(rule, kind) for rule in rules for kind in ("ge", "gt", "le", "lt") if hasattr(rule, kind)):
        yield from (bound, bound + 1, bound - 1)
