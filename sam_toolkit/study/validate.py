"""Validates values of a study against a component's `Params`, and says which value breaks which rule.

A string or a truth value is never taken for a number: values are validated as strictly typed JSON, in which a
list may stand for a tuple and text for a path.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails, to_json

from sam_toolkit.errors import near
from sam_toolkit.study.document import Node, shown
from sam_toolkit.types import Params

P = TypeVar("P", bound=Params)


def validate(params: type[P], given: Mapping[str, Node], owner: Node, name: str) -> P | None:
    """Return the setting of the component `name`, or None after every fault was noted.

    A fault of a value is noted where that stands, one of the setting as a whole at `owner`.
    """
    setting, faults = attempt(params, given)
    for fault in faults:
        key = str(fault["loc"][0]) if fault["loc"] else ""
        if fault["type"] == "missing" and len(fault["loc"]) == 1:
            meaning = params.model_fields[key].description
            owner.refuse(f"{name} needs {key!r}{f' ({meaning})' if meaning else ''}.")
        elif key not in given:
            owner.refuse(f"{name}: {key}{' ' if key else ''}{rule(fault)}.")
    for key, node in given.items():
        refuse_faults(node, [fault for fault in faults if fault["loc"][:1] == (key,)])
    return setting


def attempt(params: type[P], given: Mapping[str, Node]) -> tuple[P | None, list[ErrorDetails]]:
    """Return the setting, or None with what pydantic found; relative paths start at the study's folder."""
    values = {key: _from_folder(params, key, node) for key, node in given.items()}
    try:
        return params.model_validate_json(to_json(values, inf_nan_mode="constants"), strict=True), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


def refuse_faults(node: Node, faults: Sequence[ErrorDetails]) -> None:
    """Note the faults of one field's value; those of a union are one, where an alternative got furthest."""
    reached = [(fault, *node.reach(fault["loc"][1:])) for fault in faults]
    deepest = max((len(at.address) for _, at, _ in reached), default=0)
    is_union = any(skipped for _, _, skipped in reached)
    groups: dict[str, tuple[Node, list[ErrorDetails]]] = {}
    for fault, at, _ in reached:
        if not is_union or len(at.address) == deepest:
            group = at.label if is_union else f"{at.label} {fault['msg']}"
            groups.setdefault(group, (at, []))[1].append(fault)
    for at, own in groups.values():
        rules = " or ".join(dict.fromkeys(map(rule, own))).replace(" or should be ", " or ")
        at.refuse(f"{rules}; got {shown(at.value)}.{_near(at.value, own)}")


def rule(fault: ErrorDetails) -> str:
    """Return the rule that was broken: "should be a valid integer"."""
    if fault["type"] == "missing":
        missing = fault["loc"][-1]
        return f"needs {missing!r}" if isinstance(missing, str) else f"needs at least {missing + 1} values"
    message = re.sub(r"^(Input|Value error,|Assertion failed,) ", "", fault["msg"]).rstrip(".")
    return message[:1].lower() + message[1:].replace("a valid array", "a list")


def takes_list(params: type[Params], key: str, node: Node) -> bool:
    """Return whether a list is one value of the field: where its type takes it, or takes nothing but lists.

    A list of lists, which a field of that kind refuses, gives several values to it.
    """
    types = list(_alternatives(params.model_fields[key].annotation))
    lists = [kind for kind in types if _is_list(kind)]
    if not lists:
        return False
    _, faults = attempt(params, {key: node})
    if not any(fault["loc"][:1] == (key,) for fault in faults):
        return True
    several = bool(node.value) and all(isinstance(value, list) for value in node.value)
    return len(lists) == len(types) and not several


def takes_word(params: type[Params], key: str, word: str) -> bool:
    """Return whether there is such a field, and `word` is one of the values that its type lists."""
    field = params.model_fields.get(key)
    kinds = _alternatives(field.annotation) if field else ()
    return any(get_origin(kind) is Literal and word in get_args(kind) for kind in kinds)


def _near(value: Any, faults: Iterable[ErrorDetails]) -> str:
    expected = [str(fault.get("ctx", {}).get("expected", "")) for fault in faults]
    return near(value, re.findall("'([^']*)'", " ".join(expected))) if isinstance(value, str) else ""


def _from_folder(params: type[Params], key: str, node: Node) -> Any:
    folder = node.document.folder
    if folder is None or key not in params.model_fields:
        return node.value
    return _rebased(node.value, list(_alternatives(params.model_fields[key].annotation)), folder.absolute())


def _rebased(value: Any, kinds: Sequence[Any], folder: Path) -> Any:
    """Return the value, in `folder` where it can only be a path; elements of a list and fields likewise."""
    if isinstance(value, list):
        elements = [element for kind in kinds if _is_list(kind) for element in get_args(kind)]
        inner = [part for element in elements for part in _alternatives(element)]
        return [_rebased(item, inner, folder) for item in value]
    if isinstance(value, dict):
        models = (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Params))
        types = {
            key: list(_alternatives(rules.annotation)) for model in models for key, rules in model.model_fields.items()
        }
        return {key: _rebased(item, types.get(key, ()), folder) for key, item in value.items()}
    if not isinstance(value, str) or str in kinds:
        return value
    words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    takes_paths = any(isinstance(kind, type) and issubclass(kind, Path) for kind in kinds)
    return str(folder / os.path.expanduser(value)) if takes_paths and value not in words else value


def _alternatives(annotation: Any) -> Iterator[Any]:
    """Yield the members of a union, however it is wrapped; another type is its own only member."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for member in get_args(annotation):
            yield from _alternatives(member)
    else:
        yield annotation


def _is_list(kind: Any) -> bool:
    return (get_origin(kind) or kind) in (list, tuple, set, frozenset, Sequence)
