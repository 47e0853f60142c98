"""Expands what a study says of a component's hyperparameters into settings: a list gives several values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from sam_toolkit.study.document import Node, shown
from sam_toolkit.study.validate import attempt, refuse_faults, rule, takes_list, takes_word, validate
from sam_toolkit.types import Params

MOST_SETTINGS = 10_000
"""Settings that one entry may expand to; more is a mistake in nearly every case."""


@dataclass(frozen=True)
class Fields:
    """What an entry says of a component's hyperparameters.

    Attributes:
        params: the hyperparameters' model.
        owner: the entry.
        name: what messages call the component.
        fixed: fields with one value.
        swept: fields with a list of values.
        usual: fields with the value that the whole study's conventions give them.
    """

    params: type[Params]
    owner: Node
    name: str
    fixed: Mapping[str, Node]
    swept: Mapping[str, Sequence[Node]]
    usual: Mapping[str, Node]

    def validate(self, given: Mapping[str, Node]) -> Params | None:
        """Return the setting of these values; None where a problem was noted."""
        return validate(self.params, given, self.owner, self.name)


@dataclass(frozen=True)
class Sweep:
    """The settings of an experiment: `MethodUse` says what each part is."""

    default: Params
    axes: Mapping[str, tuple[Any, ...]]
    settings: tuple[Params, ...]


def read_fields(params: type[Params], entry: Node, name: str, without: Collection[str] = ()) -> Fields:
    """Return the fields that `entry` gives to the component `name`; unknown ones and empty lists are refused.

    Keys in `without` are the study's own. A list sweeps a field, unless the field's own type takes that list.
    """
    given = given_fields(params, entry, name, without)
    lists = {key: node for key, node in given.items() if isinstance(node.value, list)}
    swept = {key: list(node.items("values")) for key, node in lists.items() if not takes_list(params, key, node)}
    for key, nodes in swept.items():
        if not nodes:
            given[key].refuse("an empty list sweeps nothing; give values, or leave it out.")
        _refuse_repeats(nodes)
    fixed = {key: node for key, node in given.items() if key not in swept}
    lines = {key: nodes for key, nodes in swept.items() if nodes}
    return Fields(params, entry, name, fixed, lines, usual_values(params, entry))


def usual_values(params: type[Params], entry: Node) -> dict[str, Node]:
    """Return the values that the whole study's conventions give to fields, as if `entry` said them."""
    bundle = entry.document.bundle
    if bundle is None:
        return {}
    values = dict(params.conventions.get(bundle, {}))
    if takes_word(params, "compat", bundle):
        values["compat"] = bundle
    return {key: replace(entry, value=value, label=f"{entry.label}.{key}") for key, value in values.items()}


def given_fields(params: type[Params], entry: Node, name: str, without: Collection[str] = ()) -> dict[str, Node]:
    """Return the values that `entry` gives to fields of the component `name`; unknown ones are refused."""
    given = entry.fields([*params.model_fields, *without], name)
    return {key: node for key, node in given.items() if key not in without}


def read_default(fields: Fields, node: Node) -> dict[str, Node]:
    """Return the values that an entry's `default` gives; one that stands beside `default` too is refused."""
    given = node.fields(fields.params.model_fields, fields.name)
    for key, value in given.items():
        if key in fields.fixed:
            beside = shown(fields.fixed[key].value)
            value.refuse(f"{key} is {beside} beside `default` already; keep one.", at_key=True)
    return given


def product(fields: Fields) -> tuple[Params, ...]:
    """Return every combination of the listed values, in order; empty where a problem was noted."""
    first = {**fields.usual, **fields.fixed, **{key: nodes[0] for key, nodes in fields.swept.items()}}
    base = fields.validate(first)
    others = [node for nodes in fields.swept.values() for node in nodes[1:]]
    if not _check_each(fields, first, others, whole=base is not None) or base is None:
        return ()
    combinations = _combinations(fields.owner, list(fields.swept.values()))
    settings = [fields.validate({**first, **dict(zip(fields.swept, each, strict=True))}) for each in combinations]
    return tuple(setting for setting in settings if setting is not None)


def around(fields: Fields, default: Mapping[str, Node], grid: bool) -> Sweep | None:
    """Return the settings around the default, one field at a time or, for a `grid`, their product.

    A field starts from its value in `default`, or else in the study's conventions, or else from its own default. None
    where a problem was noted.
    """
    start = {**fields.usual, **fields.fixed, **default}
    reference = fields.validate(start)
    values = [node for nodes in fields.swept.values() for node in nodes]
    if not _check_each(fields, start, values, whole=reference is not None) or reference is None:
        return None
    lines = {key: [_at(fields, start, key, node) for node in nodes] for key, nodes in fields.swept.items()}
    axes = {
        key: _axis(getattr(reference, key), [getattr(setting, key) for setting in line]) for key, line in lines.items()
    }
    chosen = _grid(fields.owner, reference, axes) if grid else itertools.chain.from_iterable(lines.values())
    settings = {setting.canonical(): setting for setting in (reference, *chosen)}
    return Sweep(reference, axes, tuple(settings.values()))


def _at(fields: Fields, start: Mapping[str, Node], key: str, node: Node) -> Params:
    setting, _ = attempt(fields.params, {**start, key: node})
    assert setting is not None
    return setting


def _axis(default: Any, values: list[Any]) -> tuple[Any, ...]:
    return tuple(values if default in values else [default, *values])


def _grid(owner: Node, reference: Params, axes: Mapping[str, tuple[Any, ...]]) -> Iterator[Params]:
    for values in _combinations(owner, list(axes.values())):
        changes = dict(zip(axes, values, strict=True))
        try:
            yield reference.varied(**changes)
        except ValidationError as error:
            combination = ", ".join(f"{key}={shown(value)}" for key, value in changes.items())
            owner.refuse(f"the grid has {combination}: {rule(error.errors()[0])}.")


def _combinations(owner: Node, axes: Sequence[Sequence[Any]]) -> Iterable[tuple[Any, ...]]:
    count = math.prod(len(axis) for axis in axes)
    if count > MOST_SETTINGS:
        owner.refuse(f"makes {count:,} settings; one entry may make {MOST_SETTINGS:,}.")
        return ()
    return itertools.product(*axes)


def _check_each(fields: Fields, start: Mapping[str, Node], nodes: Iterable[Node], whole: bool) -> bool:
    """Refuse values that break a rule when put into `start`; with `whole`, rules of several fields too."""
    sound = True
    for node in nodes:
        key = str(node.address[-2])
        _, faults = attempt(fields.params, {**start, key: node})
        kept = [fault for fault in faults if whole or fault["loc"][:1] == (key,)]
        refuse_faults(node, kept)
        sound = sound and not kept
    return sound


def _refuse_repeats(nodes: Sequence[Node]) -> None:
    for index, node in enumerate(nodes):
        earlier = next((other for other in nodes[:index] if _same(other.value, node.value)), None)
        if earlier is not None:
            node.refuse(f"{shown(node.value)} stands twice, first at {earlier.label}; keep one.")


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)
