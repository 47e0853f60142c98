"""Errors that users see: each names the thing, the rule, the value it got and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SamError(Exception):
    """Base of every error that sam_toolkit raises on purpose."""


class SpecError(SamError):
    """A study file breaks a rule; the message lists every problem with its line and path."""


class ComponentError(SamError, ValueError):
    """A component got parameters or inputs it cannot take, or returned what its contract forbids."""


class PluginError(SamError):
    """A plugin is missing, failed to load, or clashes with another."""


class ModelError(SamError):
    """A model cannot be loaded, does not fit its images or targets, or gave numbers that are not finite."""


class ImageError(SamError):
    """An image, label or box file is missing, unreadable or out of range."""


class StoreError(SamError):
    """A run's folder is damaged, locked, or belongs to another version."""


class OpError(SamError, ValueError):
    """A native operator got arguments that it cannot take."""


class BenchError(SamError):
    """A benchmark cannot be run as asked, or a file is not one that a benchmark wrote."""


def near(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the names in `known` closest to `name`, or an empty string."""
    matches = difflib.get_close_matches(name, sorted(known), n=2, cutoff=0.5)
    return f" Did you mean {' or '.join(repr(match) for match in matches)}?" if matches else ""
