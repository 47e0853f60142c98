"""Which plugins are installed, found without importing any of them."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.metadata import EntryPoint
from pathlib import Path

from sam_toolkit.errors import PluginError, near
from sam_toolkit.hookspecs import GROUP

_METADATA = {".dist-info", ".egg-info"}


def installed(blocked: Iterable[str] = ()) -> list[EntryPoint]:
    """Return the entry points of installed plugins by name, without those `blocked`.

    Raises PluginError where a blocked plugin is not installed: its name is mistyped.
    """
    blocked = set(blocked)
    points = sorted(importlib.metadata.entry_points(group=GROUP), key=lambda point: point.name)
    known = {point.name for point in points}
    for name in sorted(blocked - known):
        raise PluginError(f"There is no plugin {name!r} to leave out.{near(name, known)}")
    return [point for point in points if point.name not in blocked]


def distribution_of(point: EntryPoint) -> str:
    """Return name and version of the distribution that brings a plugin, as in "sam-toolkit-captum 1.0"."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else ""


def declared_interface(point: EntryPoint) -> object:
    """Return what a plugin's source gives SAM_TOOLKIT_INTERFACE, read without running it; None: nothing that is there.

    A plugin for an interface with other names fails on its first line, before the module could be asked.
    """
    with suppress(ImportError, OSError, SyntaxError, ValueError):
        spec = importlib.util.find_spec(point.module)
        statements = ast.parse(Path(spec.origin).read_bytes()).body if spec and spec.origin else []
        for statement in statements:
            if isinstance(statement, ast.Assign) and "SAM_TOOLKIT_INTERFACE" in map(ast.unparse, statement.targets):
                return ast.literal_eval(statement.value)
    return None


def fingerprint(points: Iterable[EntryPoint]) -> str:
    """Return a digest that changes with what is installed, in which versions, and with the source of the plugins.

    The sources of sam_toolkit itself count too. Names, sizes and times of files are read, and no module is imported.
    """
    facts = [sys.version, *_distributions(), *_sources(__package__)]
    for point in points:
        facts += [point.name, point.value, distribution_of(point), *_sources(point.module.partition(".")[0])]
    return hashlib.blake2b("\0".join(facts).encode(), digest_size=16).hexdigest()


def _distributions() -> list[str]:
    """Return the metadata folders on the path; their names have the version."""
    found: set[str] = set()
    for folder in map(Path, sys.path):
        with suppress(OSError):
            found.update(str(path.resolve()) for path in folder.iterdir() if path.suffix in _METADATA)
    return sorted(found)


def _sources(module: str) -> Iterator[str]:
    """Give path, size and time of change of each Python file of a top-level module or package."""
    with suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(module)
        folders = [Path(folder) for folder in spec.submodule_search_locations or ()] if spec else []
        files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
        for path in files or ([Path(spec.origin)] if spec and spec.origin else []):
            with suppress(OSError):
                found = path.stat()
                yield f"{path} {found.st_size} {found.st_mtime_ns}"
