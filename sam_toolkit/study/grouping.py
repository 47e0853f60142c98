"""Settings that one computation serves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sam_toolkit.component import MapMetric, Method, ModelPerturbation, PairMetric, Perturbation
from sam_toolkit.types import Params, grouped

Grouped = Method[Any] | Perturbation[Any] | ModelPerturbation[Any] | PairMetric[Any] | MapMetric[Any]


def groups(component: type[Grouped], settings: Iterable[Params]) -> list[tuple[Params, ...]]:
    """Return the different settings in groups that agree in every field but those the component shares along."""
    return grouped(settings, lambda setting: component(setting).shares(setting))
