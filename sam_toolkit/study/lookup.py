"""Finds the components that a study names, and says what it could have meant where there is none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

from sam_toolkit.component import KINDS, Component, PairMetric
from sam_toolkit.errors import PluginError
from sam_toolkit.registry import Registry
from sam_toolkit.study.document import Node, shown
from sam_toolkit.study.settings import product, read_fields
from sam_toolkit.study.treatment import treated
from sam_toolkit.types import Params

C = TypeVar("C", bound=Component[Any])


def components(registry: Registry, kind: type[C]) -> dict[str, type[C]]:
    """Return the components of a kind by name."""
    names = [entry.component.name for entry in registry.entries(kind)]
    return {name: registry.get(kind, name) for name in names}


def find(node: Node, kind: type[C], registry: Registry) -> tuple[type[C], Node] | None:
    """Return the component that an entry `name` or `{name: fields}` names, and its fields; else refuse it."""
    if isinstance(node.value, str):
        name, fields = node.value, replace(node, value=None)
    elif not isinstance(node.value, dict) or not node.value:
        node.refuse(f"should be a {kind.kind}: name or {{name: {{field: value}}}}; got {shown(node.value)}.")
        return None
    else:
        name, *others = node.value
        fields = node.inside(name)
        if others:
            hint = "Indent the fields below the name" if fields.value is None else "Write {name: {field: value}}"
            node.refuse(f"one {kind.kind} an entry; got the keys {', '.join(node.value)}. {hint}.")
            return None
    component = lookup(fields, kind, name, registry, at_key=True)
    return None if component is None else (component, fields)


def lookup(node: Node, kind: type[C], name: str, registry: Registry, *, at_key: bool = False) -> type[C] | None:
    """Return the component; an unknown name is refused at `node`, or at its key."""
    try:
        return registry.get(kind, name)
    except PluginError as error:
        others = [other.kind for other in KINDS if name in components(registry, other)]
        elsewhere = f" {name!r} is a {others[0]}: it belongs elsewhere in the study." if others else ""
        message = f"{error}{elsewhere}"
        node.refuse(message[:1].lower() + message[1:], at_key=at_key)
        return None


def expand(entries: Iterable[Node], kind: type[C], registry: Registry) -> list[tuple[type[C], tuple[Params, ...]]]:
    """Return the components that `entries` name, each with every combination of its values, none twice."""
    first: dict[tuple[str, str], Node] = {}
    expanded = []
    for entry in entries:
        found = find(entry, kind, registry)
        if found is None:
            continue
        component, node = found
        params = treated(component) if issubclass(component, PairMetric) else component.Params
        settings = product(read_fields(params, node, component.name))
        keys = [(component.name, setting.canonical()) for setting in settings]
        pairs = zip(keys, settings, strict=True)
        fresh = tuple(setting for key, setting in pairs if first.setdefault(key, entry) is entry)
        if settings and not fresh:
            entry.refuse(f"says what {first[keys[0]].label} says already; keep one.")
        expanded.append((component, fresh))
    return expanded


def failures(registry: Registry) -> str:
    """Return a sentence for each plugin that could not be loaded: what is not found may be in one of them."""
    return "".join(f" Plugin {one.plugin!r} could not be loaded ({one.error})." for one in registry.failures)
