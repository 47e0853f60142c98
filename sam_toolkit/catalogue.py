"""What is installed, for people: components by kind, their hyperparameters, where they come from."""

from __future__ import annotations

import inspect
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from sam_toolkit.component import ModelSource
from sam_toolkit.errors import PluginError, near
from sam_toolkit.registry import Entry, Registry
from sam_toolkit.study.labels import value_text
from sam_toolkit.types import Params


def catalogue(registry: Registry) -> list[dict[str, Any]]:
    """Return the components as JSON values."""
    return [_item(entry) for entry in registry.entries()]


def _item(entry: Entry) -> dict[str, Any]:
    component = entry.component
    item = {
        "kind": component.kind,
        "name": component.name,
        "what": _first_sentence(component),
        "parameters": list(component.Params.model_fields),
        "plugin": entry.plugin,
        "from": entry.distribution,
    }
    if issubclass(component, ModelSource):
        item["models"] = list(component.names())
    return item


def find(registry: Registry, name: str) -> list[Entry]:
    """Return the components called `name`, of any kind; raises PluginError with near names."""
    found = [entry for entry in registry.entries() if entry.component.name == name]
    if not found:
        known = {entry.component.name for entry in registry.entries()}
        raise PluginError(f"There is no component {name!r}.{near(name, known)} `sam-toolkit list` shows all.")
    return found


def description(entry: Entry) -> RenderableType:
    """Return what a component does, its hyperparameters, its reference and its origin, for a terminal."""
    component = entry.component
    table = Table("hyperparameter", "type and range", "default", "meaning")
    for name, (kind, default, meaning) in fields(component.Params).items():
        table.add_row(name, escape(kind), escape(default), escape(meaning))
    reference = [f"Reference: {escape(component.reference)}"] if component.reference else []
    origin = (
        f"From {entry.distribution or 'an unpackaged plugin'}, version {component.version} of the {component.kind}."
    )
    return Group(f"[bold]{component.name}[/]: {escape(_first_sentence(component))}", table, *reference, origin)


def fields(params: type[Params]) -> dict[str, tuple[str, str, str]]:
    """Return, for each hyperparameter, its type and range, its default and its help, as text."""
    schema = params.model_json_schema()
    definitions = schema.get("$defs", {})
    return {
        name: (_type_text(field, definitions), _default_text(params, name), field.get("description", ""))
        for name, field in schema.get("properties", {}).items()
    }


def _type_text(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in field:
        return ", ".join(definitions[field["$ref"].rsplit("/", 1)[-1]].get("properties", {})) or "mapping"
    if "anyOf" in field:
        return " | ".join(_type_text(option, definitions) for option in field["anyOf"])
    if "enum" in field or "const" in field:
        return " | ".join(str(value) for value in field.get("enum", [field.get("const")]))
    kind = {
        "integer": "int",
        "number": "float",
        "string": "text",
        "boolean": "bool",
        "array": "list",
        "null": "none",
    }
    symbols = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    rules = ", ".join(f"{symbol} {field[rule]}" for rule, symbol in symbols.items() if rule in field)
    return f"{kind.get(field.get('type', ''), field.get('type', 'any'))}{' ' if rules else ''}{rules}"


def _default_text(params: type[Params], name: str) -> str:
    field = params.model_fields[name]
    if field.is_required():
        return "(required)"
    default = field.get_default(call_default_factory=True)
    return value_text(default) if isinstance(default, float) else str(default)


def _first_sentence(component: type[Any]) -> str:
    return " ".join((inspect.getdoc(component) or "").split("\n\n")[0].split())
