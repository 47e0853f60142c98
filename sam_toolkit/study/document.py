"""A study as plain values with the place of each, and the problems found in it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sam_toolkit.errors import SpecError, near

Address = tuple[str | int, ...]
"""The keys and indices that lead to a value."""

_WIDTH = 120
"""Characters of a line that a message quotes."""


@dataclass(frozen=True, order=True)
class Place:
    """Line and column in the study file, from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Problem:
    """A rule that the study breaks: the message, which starts with the value's path, and where."""

    message: str
    place: Place | None


@dataclass
class Document:
    """A study as it was written.

    Attributes:
        text: the file, or the given mapping as YAML.
        name: what messages call the file; empty for a mapping, whose values have no places.
        folder: where relative paths start; None: as they are.
        data: the values.
        values: where each value stands.
        keys: where each key stands.
        unreadable: values that no rule can be held against; what they are was refused.
        problems: what was refused so far, in the order it was found.
        bundle: the conventions that the whole study keeps, by name.
    """

    text: str
    name: str = ""
    folder: Path | None = None
    data: Any = None
    values: dict[Address, Place] = field(default_factory=dict)
    keys: dict[Address, Place] = field(default_factory=dict)
    unreadable: set[Address] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    bundle: str | None = None

    @property
    def title(self) -> str:
        """Return what the study is called where it does not say it: its file's name."""
        return Path(self.name).stem or "study"

    def refuse(self, address: Address, message: str, place: Place | None = None) -> None:
        """Note a problem at `place`, or else where the value at `address` or the nearest around it stands."""
        if address in self.unreadable:
            return
        while place is None and (address or () in self.values):
            place, address = self.values.get(address), address[:-1]
        problem = Problem(message, place)
        if problem not in self.problems:
            self.problems.append(problem)

    def check(self) -> None:
        """Raise SpecError with every problem in the order of the file, each with its line and a caret."""
        if self.problems:
            found = sorted(self.problems, key=lambda problem: problem.place or Place(0, 0))
            texts = [pointed(problem.message, self.name, self.text, problem.place) for problem in found]
            raise SpecError("\n".join(texts))

    def root(self) -> Node:
        """Return the whole study."""
        return Node(self, self.data)


@dataclass(frozen=True)
class Node:
    """A value of a study with its path, as in `methods[1].samples[2]`."""

    document: Document
    value: Any
    address: Address = ()
    label: str = ""

    def child(self, key: str | int) -> Node:
        """Return the value at a key or an index."""
        step = f"[{key}]" if isinstance(key, int) else f".{key}" if self.label else key
        return replace(self.inside(key), label=self.label + step)

    def inside(self, key: str | int) -> Node:
        """Return the value at a key that paths leave out: the name of a component."""
        return replace(self, value=self.value[key], address=(*self.address, key))

    def reach(self, steps: Collection[str | int]) -> tuple[Node, int]:
        """Return the value that `steps` lead to, and how many lead nowhere, as the names of types do."""
        node, skipped = self, 0
        for step in steps:
            known = range(len(node.value)) if isinstance(node.value, list) else node.value
            if isinstance(known, range | dict) and step in known:
                node = node.child(step)
            else:
                skipped += 1
        return node, skipped

    def items(self, what: str) -> Iterator[Node]:
        """Yield the values of a list; a value that is none is refused as not being a list of `what`."""
        if isinstance(self.value, list):
            yield from (self.child(index) for index in range(len(self.value)))
        else:
            self.refuse(f"should be a list of {what}; got {shown(self.value)}.")

    def fields(self, known: Collection[str], owner: str) -> dict[str, Node]:
        """Return the values of a mapping by key; refuses what is none, and keys that `owner` has not."""
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            self.refuse(f"should be a mapping of keys to values ({', '.join(known)}); got {shown(self.value)}.")
            return {}
        for key in self.value:
            if key not in known:
                had = f"it has: {', '.join(known)}" if known else "it has none"
                self.child(key).refuse(f"{owner} has no {key!r} ({had}).{near(key, known)}", at_key=True)
        return {key: self.child(key) for key in self.value if key in known}

    def one_of(self, options: Collection[str]) -> bool:
        """Return whether the value is one of `options`; another is refused."""
        if self.value in tuple(options):
            return True
        hint = near(self.value, options) if isinstance(self.value, str) else ""
        self.refuse(f"should be {' or '.join(map(repr, options))}; got {shown(self.value)}.{hint}")
        return False

    def refuse(self, message: str, *, at_key: bool = False) -> None:
        """Note that this value breaks a rule, which `message` says; `at_key` points at its key, if any."""
        text = f"{self.label}: {message}" if self.label else message
        place = self.document.keys.get(self.address) if at_key else None
        self.document.refuse(self.address, text, place)


def address_text(address: Address) -> str:
    """Return a path as text: `methods[1].smoothgrad.samples[2]`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in address)
    return text.removeprefix(".")


def shown(value: Any) -> str:
    """Return a value as a message quotes it, in YAML's words, shortened."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value}".replace("inf", ".inf").replace("nan", ".nan")
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def pointed(message: str, name: str, text: str, place: Place | None) -> str:
    """Return the message with file, line and column in front, and the line with a caret below it."""
    if place is None:
        return f"{name}: {message}" if name else message
    lines, column = text.splitlines(), place.column - 1
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    start = max(0, column - _WIDTH // 2) if len(line) > _WIDTH else 0
    end = start + _WIDTH
    excerpt = f"{'...' if start else ''}{line[start:end]}{'...' if len(line) > end else ''}"
    before = line[start:column].ljust(column - start)
    indent = "".join("\t" if character == "\t" else " " for character in before) + ("   " if start else "")
    return f"{name}:{place.line}:{place.column}: {message}\n    {excerpt}\n    {indent}^"
