"""A component as a hyperparameter of another: the method that an attack attacks, the similarity that it lowers."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from sam_toolkit.component import Component
from sam_toolkit.errors import SamError
from sam_toolkit.types import Params, problems

Find = Callable[[type[Component[Any]], str], type[Component[Any]]]
"""Returns the component of a kind and name; raises PluginError where there is none."""

_find: ContextVar[Find | None] = ContextVar("find", default=None)


class Choice:
    """A component with one setting; a value like any other. No dataclass, which pydantic would take apart."""

    def __init__(self, component: type[Component[Any]], params: Params) -> None:
        """Hold both."""
        self.component, self.params = component, params

    def __eq__(self, other: object) -> bool:
        """Return whether both are the same."""
        return isinstance(other, Choice) and (self.component, self.params) == (other.component, other.params)

    def __hash__(self) -> int:
        """Return a hash of both."""
        return hash((self.component, self.params))

    def __repr__(self) -> str:
        """Return the call that makes the component."""
        return repr(self.make())

    def make(self) -> Any:
        """Return the component itself."""
        return self.component(self.params)

    def __str__(self) -> str:
        """Return "gradient channels=abs-sum", with the fields that differ from their defaults."""
        usual = type(self.params).model_fields
        own = [f"{name}={value}" for name, value in self.params if value != usual[name].default]
        return " ".join([self.component.name, *own])

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return how pydantic writes it where it is a field's default."""
        written = core_schema.plain_serializer_function_ser_schema(cls.written, when_used="json")
        return core_schema.is_instance_schema(cls, serialization=written)

    def written(self) -> dict[str, Any]:
        """Return it as a study file would say it, with the version that keys need."""
        return {f"{self.component.name}@{self.component.version}": self.params.model_dump(mode="json")}


class ChoiceOf:
    """What annotates a field that takes a component of one kind: by name, as {name: fields}, or as an instance."""

    def __init__(self, kind: type[Component[Any]]) -> None:
        """Take components of `kind`."""
        self._kind = kind

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return how pydantic reads and writes such a field."""
        written = core_schema.plain_serializer_function_ser_schema(Choice.written, when_used="json")
        return core_schema.with_info_plain_validator_function(self._read, serialization=written)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return what `sam-toolkit show` calls its type."""
        return {"type": self._kind.kind}

    def _read(self, value: Any, info: ValidationInfo) -> Choice:
        if isinstance(value, self._kind):
            return Choice(type(value), value.params)
        if isinstance(value, Choice) and issubclass(value.component, self._kind):
            return value
        name, fields = _named(value, self._kind.kind)
        name, _, version = name.partition("@")
        try:
            component = (_find.get() or _installed())(self._kind, name)
        except SamError as error:
            raise ValueError(str(error)) from None
        if version not in ("", component.version):
            raise ValueError(f"{name} has version {component.version} now; the setting is of version {version}")
        return Choice(component, _setting(component, fields, strict=info.mode == "json"))


def _named(value: Any, kind: str) -> tuple[str, dict[str, Any]]:
    if isinstance(value, str):
        return value, {}
    if isinstance(value, dict) and len(value) == 1:
        ((name, fields),) = value.items()
        if isinstance(name, str) and isinstance(fields, dict | None):
            return name, fields or {}
    raise ValueError(f"should be a {kind}: its name, or {{name: {{field: value}}}}, or an instance")


def _setting(component: type[Component[Any]], fields: dict[str, Any], strict: bool) -> Params:
    """Return the setting; `strict` is the way of study files, in which text is no number."""
    params = component.Params
    try:
        return params.model_validate_json(json.dumps(fields), strict=True) if strict else params(**fields)
    except ValidationError as error:
        raise ValueError(f"{component.name}: {' '.join(problems(error, params))}") from None


@contextmanager
def finding(find: Find) -> Iterator[None]:
    """Look components up with `find`, as a study does in its own host; else in that of what is installed."""
    token = _find.set(find)
    try:
        yield
    finally:
        _find.reset(token)


def _installed() -> Find:
    # By name: the host knows the built-in components, and these know this module.
    registry = importlib.import_module("sam_toolkit.registry")
    find: Find = registry.default_registry().get
    return find
