"""The names of what is installed, remembered: a listing imports no component unless something installed has changed."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from rich.markup import escape
from rich.table import Table

from sam_toolkit.errors import PluginError, near
from sam_toolkit.installed import fingerprint, installed


@dataclass(frozen=True)
class Listing:
    """Components as JSON values, and what is to be said of plugins that could not be loaded."""

    items: list[dict[str, Any]]
    failures: tuple[str, ...] = ()

    def of_kind(self, kind: str | None) -> list[dict[str, Any]]:
        """Return the components of a kind (or all); raises PluginError for a kind that does not exist."""
        kinds = sorted({item["kind"] for item in self.items})
        if kind is not None and kind not in kinds:
            raise PluginError(f"There is no kind {kind!r}.{near(kind, kinds)} Kinds: {', '.join(kinds)}.")
        return [item for item in self.items if kind in (None, item["kind"])]


def listing(plugins: bool = True, blocked: tuple[str, ...] = ()) -> Listing:
    """Return what is installed, from the file of an earlier call where nothing has changed since.

    A listing with plugins that could not be loaded is not remembered: they are tried again.
    """
    state = fingerprint(installed(blocked) if plugins else ())
    path = _file(plugins, blocked)
    remembered = _read(path, state)
    if remembered is not None:
        return Listing(remembered)
    found = _loaded(plugins, blocked)
    if not found.failures:
        _write(path, {"state": state, "items": found.items})
    return found


def _loaded(plugins: bool, blocked: tuple[str, ...]) -> Listing:
    from sam_toolkit.catalogue import catalogue  # noqa: PLC0415 - components need PyTorch, and their names do not
    from sam_toolkit.registry import default_registry  # noqa: PLC0415

    registry = default_registry(plugins, blocked)
    return Listing(catalogue(registry), tuple(map(str, registry.failures)))


def _file(plugins: bool, blocked: tuple[str, ...]) -> Path:
    """Return the file of this environment and these plugins left out, in the user's folder for what can be lost."""
    folder = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    asked = hashlib.blake2b(repr((sys.prefix, plugins, blocked)).encode(), digest_size=8).hexdigest()
    return Path(folder) / "sam_toolkit" / f"listing-{asked}.json"


def _read(path: Path, state: str) -> list[dict[str, Any]] | None:
    with suppress(OSError, ValueError, TypeError, KeyError):
        remembered = json.loads(path.read_text(encoding="utf-8"))
        if remembered["state"] == state:
            items: list[dict[str, Any]] = remembered["items"]
            return items
    return None


def _write(path: Path, content: dict[str, Any]) -> None:
    """Write the file whole or not at all; where that is not allowed, the next call loads the components again."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, suffix=".part", delete=False) as file:
            json.dump(content, file)
        os.replace(file.name, path)


def listing_table(items: list[dict[str, Any]]) -> Table:
    """Return the components for a terminal."""
    table = Table("kind", "name", "what", "from", title="Components")
    for item in items:
        models = item.get("models", ())
        served = (
            f" Models: {', '.join(models[:4])}{f' and {len(models) - 4} more' if len(models) > 4 else ''}."
            if models
            else ""
        )
        table.add_row(item["kind"], item["name"], escape(item["what"] + served), item["from"])
    return table
