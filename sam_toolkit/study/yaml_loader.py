"""Reads study files: YAML 1.2 scalars, duplicate keys refused, every value and key with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic_core import PydanticSerializationError, from_json, to_json

from sam_toolkit.errors import SpecError, near
from sam_toolkit.study.document import Address, Document, Place, address_text, pointed, shown

LARGEST = 1_000_000
"""Bytes that a study file may have: one that is larger is something else."""

MOST_VALUES = 100_000
"""Values that a study file may hold once its aliases are written out."""

DEEPEST = 50
"""Lists and mappings within each other that a study file may hold."""

_TAG = "tag:yaml.org,2002:"
_CONTENT = "a study says which models, images and methods it takes"


_SCALAR_TAGS: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {
    None: [
        (f"{_TAG}null", re.compile(r"(?:~|null|Null|NULL|)\Z")),
        (f"{_TAG}bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")),
        (f"{_TAG}int", re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")),
        (f"{_TAG}float", re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")),
        (f"{_TAG}float", re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")),
    ]
}
"""The core schema of YAML 1.2: 1e-3 is a number, `no` and 12:30 are text, 010 is ten."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = _SCALAR_TAGS


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers = _SCALAR_TAGS


def read_mapping(mapping: Mapping[str, Any]) -> Document:
    """Return a study given as a mapping, with tuples, arrays and paths as plain values, and its text as YAML.

    Raises SpecError where it holds what cannot stand in a file.
    """
    try:
        text = to_json(dict(mapping), inf_nan_mode="constants", fallback=_plain)
    except (PydanticSerializationError, ValueError) as error:
        raise SpecError(f"A study holds text, numbers, lists and mappings of them: {error}.") from None
    data = from_json(text)
    return Document(yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True), data=data)


def read_study_file(path: Path) -> Document:
    """Return the file's values and their places; duplicate keys and foreign tags are among its `problems`.

    Raises SpecError where there is nothing to go on with: no such file, no text, no YAML, no mapping.
    """
    return parse_study(_read(path), str(path), path.parent)


def parse_study(text: str, name: str, folder: Path) -> Document:
    """Return the values of a study's `text`, as `read_study_file` does; relative paths start at `folder`."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise SpecError(_syntax(error, name, text)) from None
    except yaml.reader.ReaderError as error:
        line, character = text.count("\n", 0, error.position) + 1, chr(error.character)
        raise SpecError(f"{name}:{line}: not a text file: YAML does not allow the character {character!a}.") from None
    except RecursionError:
        raise SpecError(f"{name}: not a study: it holds values nested more than {DEEPEST} deep.") from None
    if node is None:
        raise SpecError(f"{name} is empty: {_CONTENT}.")
    if not isinstance(node, yaml.MappingNode):
        raise SpecError(pointed(f"not a mapping of keys to values: {_CONTENT}.", name, text, _place(node)))
    return _Reading(Document(text, name, folder)).document(node)


def _plain(value: Any) -> Any:
    if not hasattr(value, "tolist"):
        raise ValueError(f"got {shown(value)}")
    return value.tolist()


def _read(path: Path) -> str:
    try:
        if path.is_dir():
            raise SpecError(f"{path} is a folder; a study is a YAML file.")
        size = path.stat().st_size
        if size > LARGEST:
            raise SpecError(f"{path} has {size:,} bytes; a study is a YAML file of at most {LARGEST:,}.")
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        siblings = [other.name for other in path.parent.glob("*.y*ml")]
        raise SpecError(f"There is no study file {str(path)!r}.{near(path.name, siblings)}") from None
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise SpecError(f"{path} is not a text file in UTF-8: see byte {error.start}.") from None
        raise SpecError(f"The study file {str(path)!r} cannot be read: {error}.") from None


def _syntax(error: yaml.MarkedYAMLError, name: str, text: str) -> str:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or "cannot be read"
    hint = " Indent with spaces: YAML does not allow tabs." if "'\\t'" in problem else ""
    start = f", which starts at line {error.context_mark.line + 1}" if error.context_mark else ""
    context = f" ({error.context}{start})" if error.context else ""
    message = f"not valid YAML: {problem}{context}.{hint}"
    return pointed(message, name, text, Place(mark.line + 1, mark.column + 1) if mark else None)


class _Reading:
    """Turns the nodes of one file into values."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._open: set[yaml.Node] = set()
        self._values = 0

    def document(self, root: yaml.Node) -> Document:
        self._document.data = self._value(root, ())
        return self._document

    def _value(self, node: yaml.Node, address: Address) -> Any:
        self._document.values[address] = _place(node)
        self._values += 1
        if self._values > MOST_VALUES or len(address) > DEEPEST:
            raise SpecError(
                f"{self._document.name}: not a study: it holds more than {MOST_VALUES:,} values, "
                f"or values nested more than {DEEPEST} deep."
            )
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, address)
        if node in self._open:
            self._give_up(address, "an alias stands inside what it repeats.")
            return None
        self._open.add(node)
        mapping = isinstance(node, yaml.MappingNode)
        value: Any = self._mapping(node, address) if mapping else self._sequence(node, address)
        self._open.remove(node)
        return value

    def _sequence(self, node: yaml.Node, address: Address) -> list[Any]:
        self._check_tag(node, address, f"{_TAG}seq")
        return [self._value(child, (*address, index)) for index, child in enumerate(node.value)]

    def _mapping(self, node: yaml.Node, address: Address) -> dict[str, Any]:
        self._check_tag(node, address, f"{_TAG}map")
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag != f"{_TAG}str" or not _is_unicode(key_node.value):
                got = repr(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "a list or a mapping"
                self._refuse(address, f"a key must be text; got {got}.", _place(key_node))
            elif key_node.value in values:
                own = (*address, key_node.value)
                first = self._document.keys[own].line
                self._refuse(own, f"stands twice, first at line {first}; keep one.", _place(key_node))
            else:
                own = (*address, key_node.value)
                self._document.keys[own] = _place(key_node)
                values[key_node.value] = self._value(value_node, own)
        return values

    def _scalar(self, node: yaml.ScalarNode, address: Address) -> str | int | float | bool | None:
        kind = node.tag.removeprefix(_TAG)
        if kind not in _SCALARS:
            self._check_tag(node, address, "")
            return None
        try:
            return _SCALARS[kind](node.value)
        except ValueError:
            self._give_up(address, f"{node.value[:40]!r} cannot be read as {kind}.")
            return None

    def _check_tag(self, node: yaml.Node, address: Address, wanted: str) -> None:
        if node.tag != wanted:
            tag = node.tag.replace(_TAG, "!!")
            self._give_up(address, f"the tag {tag} has no meaning in a study; leave it out.")

    def _give_up(self, address: Address, message: str) -> None:
        self._refuse(address, message)
        self._document.unreadable.add(address)

    def _refuse(self, address: Address, message: str, place: Place | None = None) -> None:
        self._document.refuse(address, f"{address_text(address)}: {message}" if address else message, place)


def _place(node: yaml.Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def _integer(text: str) -> int:
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _float(text: str) -> float:
    return float(text.replace(".inf", "inf").replace(".nan", "nan")) if text[-1:].isalpha() else float(text)


def _text(text: str) -> str:
    if not _is_unicode(text):
        raise ValueError("half of a surrogate pair")
    return text


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


_SCALARS: dict[str, Callable[[str], str | int | float | bool | None]] = {
    "str": _text,
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": _integer,
    "float": lambda text: _float(text.lower()),
}
