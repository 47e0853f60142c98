"""Captum and sam_toolkit at home in each other: its attributions as methods, and ours as its attributions."""

from __future__ import annotations

from sam_toolkit_captum import gradients, layers, neurons, paths, perturbations

from sam_toolkit import Method, hookimpl

SAM_TOOLKIT_INTERFACE = 1


@hookimpl
def sam_toolkit_components() -> list[type[Method]]:
    """Return captum's attributions as methods."""
    modules = (gradients, layers, neurons, paths, perturbations)
    return [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__ and "name" in vars(value)
    ]
