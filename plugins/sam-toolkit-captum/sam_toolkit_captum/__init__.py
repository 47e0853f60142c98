"""Captum and sam_toolkit at home in each other: its attributions as methods, and ours as its attributions."""

from __future__ import annotations

from typing import Any

from sam_toolkit import Method, hookimpl
from sam_toolkit_captum import gradients, layers, neurons, paths, perturbations
from sam_toolkit_captum.attributions import SamAttribution
from sam_toolkit_captum.metrics import hyperparameter_sensitivity, similarity
from sam_toolkit_captum.occlusion import Occlusion

__all__ = ["Occlusion", "SamAttribution", "hyperparameter_sensitivity", "sam_toolkit_components", "similarity"]
SAM_TOOLKIT_INTERFACE = 1


@hookimpl
def sam_toolkit_components() -> list[type[Method[Any]]]:
    """Return captum's attributions as methods."""
    modules = (gradients, layers, neurons, paths, perturbations)
    return [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__ and "name" in vars(value)
    ]
