"""Quantus and sam_toolkit at home in each other."""

from __future__ import annotations

from typing import Any

from sam_toolkit import MapMetric, hookimpl
from sam_toolkit_quantus import metrics
from sam_toolkit_quantus.explaining import explain_func
from sam_toolkit_quantus.stability import HyperparameterSensitivity, InputSensitivity

__all__ = ["HyperparameterSensitivity", "InputSensitivity", "explain_func", "sam_toolkit_components"]
SAM_TOOLKIT_INTERFACE = 1


@hookimpl
def sam_toolkit_components() -> list[type[MapMetric[Any]]]:
    """Return Quantus's metrics as accuracies of maps."""
    own = [value for value in vars(metrics).values() if isinstance(value, type) and "name" in vars(value)]
    return [value for value in own if value.__module__ == metrics.__name__]
