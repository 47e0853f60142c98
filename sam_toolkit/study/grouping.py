"""Settings that one computation serves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sam_toolkit.component import MapMetric, Method, PairMetric, Perturbation
from sam_toolkit.types import Params

Grouped = Method[Any] | Perturbation[Any] | PairMetric[Any] | MapMetric[Any]


def groups(component: type[Grouped], settings: Iterable[Params]) -> list[tuple[Params, ...]]:
    """Return the different settings in groups that agree in every field but those the component shares along."""
    found: dict[tuple[tuple[str, ...], str], list[Params]] = {}
    for setting in dict.fromkeys(settings):
        fields = component(setting).shares(setting)
        found.setdefault((tuple(sorted(fields)), setting.without(fields)), []).append(setting)
    return [tuple(group) for group in found.values()]
