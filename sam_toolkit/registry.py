"""The pluggy host: finds plugins, loads them explicitly, and finds components by kind and name."""

from __future__ import annotations

import importlib.metadata
import logging
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, TypeVar

import pluggy

from sam_toolkit import hookspecs
from sam_toolkit.component import KINDS, Component
from sam_toolkit.errors import PluginError, near
from sam_toolkit.installed import declared_interface, distribution_of, installed

_SECONDS, _NOTICE = 60.0, 10.0
"""How long a plugin may take to load, with what it imports, and after how long, again and again, that is said."""

_LOG = logging.getLogger(__name__)

C = TypeVar("C", bound=Component[Any])


@dataclass(frozen=True)
class Entry:
    """A component with where it comes from: the plugin's name, its distribution and version."""

    component: type[Component[Any]]
    plugin: str
    distribution: str


@dataclass(frozen=True)
class LoadFailure:
    """A plugin that could not be loaded."""

    plugin: str
    distribution: str
    error: str

    def __str__(self) -> str:
        """Return the sentence that a user reads."""
        return f"Plugin {self.plugin!r} ({self.distribution}) could not be loaded: {self.error}"


class Registry:
    """Components by kind and name; built-in ones come through the same hook as anybody's."""

    def __init__(self) -> None:
        """Make an empty host; `register` and `load_entry_points` fill it."""
        self.failures: list[LoadFailure] = []
        self._manager = pluggy.PluginManager(hookspecs.GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._entries: dict[tuple[str, str], Entry] = {}
        self._loaded: list[importlib.metadata.EntryPoint] = []

    def register(self, plugin: ModuleType | object, name: str, distribution: str = "") -> None:
        """Add the components of a plugin; raises PluginError on a clash (naming both sides) or a broken component."""
        self._add(plugin, name, _offered(plugin, name, distribution))

    def _add(self, plugin: ModuleType | object, name: str, offered: list[Entry]) -> None:
        new: dict[tuple[str, str], Entry] = {}
        for entry in offered:
            key = _key(entry)
            other = new.get(key) or self._entries.get(key)
            if other is not None:
                raise PluginError(_clash(entry, other))
            new[key] = entry
        try:
            self._manager.register(plugin, name)
        except (ValueError, pluggy.PluginValidationError) as error:
            raise PluginError(f"Plugin {name!r} cannot be registered: {error}") from error
        self._entries.update(new)

    def extended(self, component: type[Component[Any]]) -> Registry:
        """Return a host with the same components and one more, such as a class defined in a notebook."""
        other = Registry()
        other.failures = list(self.failures)
        other._entries = {**self._entries}
        entry = Entry(component, "here", "")
        if _key(entry) in other._entries:
            raise PluginError(_clash(entry, other._entries[_key(entry)]))
        other._entries[_key(entry)] = entry
        return other

    def load_entry_points(self, blocked: Iterable[str] = ()) -> None:
        """Load every installed plugin but those `blocked`; one that fails goes to `failures` and the rest go on.

        Raises PluginError where two plugins give one name to two components (block one of them), and where a blocked
        one is not installed.
        """
        for point in installed(blocked):
            if point not in self._loaded:
                self._loaded.append(point)
                self._load(point)

    def _load(self, point: importlib.metadata.EntryPoint) -> None:
        distribution = distribution_of(point)
        try:
            if self._manager.has_plugin(point.name):
                raise PluginError(f"another plugin is called {point.name!r} too; uninstall one of them")
            with _watched(f"plugin {point.name!r} ({distribution})"):
                plugin = point.load()
                offered = _offered(plugin, point.name, distribution)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's module may raise anything at all
            self.failures.append(LoadFailure(point.name, distribution, _reason(point, error)))
        else:
            self._add(plugin, point.name, offered)

    def entries(self, kind: type[Component[Any]] | None = None) -> list[Entry]:
        """Return the entries of a kind (or all), sorted by kind and name."""
        chosen = [entry for entry in self._entries.values() if kind is None or entry.component.kind == kind.kind]
        return sorted(chosen, key=lambda entry: (entry.component.kind, entry.component.name))

    def get(self, kind: type[C], name: str) -> type[C]:
        """Return the component; raises PluginError with near names, and with the plugins that failed to load."""
        entry = self._entries.get((kind.kind, name))
        if entry is not None:
            return entry.component  # type: ignore[return-value]
        known = [key[1] for key in self._entries if key[0] == kind.kind]
        failed = "".join(
            f" Plugin {failure.plugin!r} could not be loaded ({failure.error})." for failure in self.failures
        )
        raise PluginError(
            f"There is no {kind.kind} {name!r}.{near(name, known)} Known: {', '.join(sorted(known))}.{failed}"
        )


@cache
def default_registry(plugins: bool = True, blocked: tuple[str, ...] = ()) -> Registry:
    """Return the host with the built-in components and, unless `plugins` is False, those of plugins not `blocked`.

    Raises PluginError where a blocked plugin is not installed: its name is mistyped.
    """
    from sam_toolkit import builtins  # noqa: PLC0415 - built-in components import this package's contracts

    registry = Registry()
    registry.register(builtins, "sam_toolkit", f"sam-toolkit {importlib.metadata.version('sam-toolkit')}")
    if plugins:
        registry.load_entry_points(blocked)
    return registry


def _offered(plugin: ModuleType | object, name: str, distribution: str) -> list[Entry]:
    """Return the plugin's components; raises PluginError where one is broken."""
    _check_interface(getattr(plugin, "SAM_TOOLKIT_INTERFACE", None))
    hook = getattr(plugin, "sam_toolkit_components", None)
    if hook is None:
        raise PluginError(f"Plugin {name!r} has no hook `sam_toolkit_components`; see docs/writing-a-plugin.md.")
    entries = [Entry(component, name, distribution) for component in hook()]
    for entry in entries:
        _key(entry)
    return entries


def _check_interface(wanted: object) -> None:
    """Raise PluginError where a plugin wants an interface that this host does not have; None: it says nothing."""
    if wanted is None:
        return
    if not isinstance(wanted, int):
        raise PluginError(f"SAM_TOOLKIT_INTERFACE must be an integer, such as {hookspecs.INTERFACE}; got {wanted!r}")
    if wanted > hookspecs.INTERFACE:
        raise PluginError(
            f"it was written for interface {wanted} of sam-toolkit, and this version has {hookspecs.INTERFACE}: "
            "upgrade sam-toolkit"
        )
    if wanted < hookspecs.OLDEST:
        raise PluginError(
            f"it was written for interface {wanted} of sam-toolkit, and this version takes {hookspecs.OLDEST} to "
            f"{hookspecs.INTERFACE}: upgrade the plugin"
        )


def _reason(point: importlib.metadata.EntryPoint, error: BaseException) -> str:
    """Return why a plugin could not be loaded: the interface that its source asks for, before what it ran into."""
    try:
        _check_interface(declared_interface(point))
    except PluginError as other:
        error = other
    return f"{type(error).__name__}: {error}"


class _Late(BaseException):
    """Ends a plugin that takes too long; no Exception, which its own code might catch."""


@contextmanager
def _watched(what: str) -> Iterator[None]:
    """Say what is being loaded where it is slow, and raise TimeoutError where it takes longer than it may.

    The system lets the main thread do that, and not on Windows; elsewhere the block runs as it is.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    start = time.monotonic()

    def ring(number: int, frame: object) -> None:
        if time.monotonic() - start >= _SECONDS:
            raise _Late
        _LOG.warning("Still loading %s; --no-plugin leaves one out.", what)

    before = signal.signal(signal.SIGALRM, ring)
    step = min(_NOTICE, _SECONDS)
    others = signal.setitimer(signal.ITIMER_REAL, step, step)
    try:
        yield
    except _Late:
        raise TimeoutError(f"it was not loaded within {_SECONDS:g} s") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, *others)
        signal.signal(signal.SIGALRM, before)


def _key(entry: Entry) -> tuple[str, str]:
    component = entry.component
    if not (isinstance(component, type) and issubclass(component, KINDS)):
        kinds = ", ".join(kind.__name__ for kind in KINDS)
        raise PluginError(f"Plugin {entry.plugin!r} gives {component!r}, which is none of {kinds}.")
    name = getattr(component, "name", "")
    if not name or name != name.lower() or not name.replace("-", "").isalnum():
        raise PluginError(f"Plugin {entry.plugin!r}: {component.__name__}.name must be kebab-case; got {name!r}.")
    return component.kind, name


def _clash(entry: Entry, other: Entry) -> str:
    def side(one: Entry) -> str:
        component, origin = one.component, one.distribution or "unpackaged"
        return f"{component.__module__}.{component.__qualname__} of plugin {one.plugin!r} ({origin})"

    return (
        f"Two components are the {entry.component.kind} {entry.component.name!r}: {side(entry)} and {side(other)}. "
        f"Rename one, or leave a plugin out with --no-plugin {entry.plugin}."
    )
