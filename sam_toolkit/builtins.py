"""The components that come with sam_toolkit, given to the host through the same hook as anybody's."""

from __future__ import annotations

from typing import Any

from sam_toolkit import methods, metrics, model_perturbations, perturbations, removal, reports, sources
from sam_toolkit.component import Component
from sam_toolkit.hookspecs import hookimpl


@hookimpl
def sam_toolkit_components() -> list[type[Component[Any]]]:
    """Return every component that the packages of built-in components export."""
    packages = (methods, removal, metrics, perturbations, model_perturbations, sources, reports)
    exported = (getattr(package, name) for package in packages for name in package.__all__)
    return [item for item in exported if isinstance(item, type) and issubclass(item, Component)]
