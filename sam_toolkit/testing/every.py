"""The checks by kind: one call for a component of any."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sam_toolkit.component import Component
from sam_toolkit.testing.declarations import check_declarations
from sam_toolkit.testing.map_metrics import check_map_metric
from sam_toolkit.testing.methods import check_method
from sam_toolkit.testing.model_perturbations import check_model_perturbation
from sam_toolkit.testing.pair_metrics import check_pair_metric
from sam_toolkit.testing.perturbations import check_perturbation
from sam_toolkit.testing.sources import check_image_source, check_model_source, check_reporter

_CHECKS: Mapping[str, Callable[[Any], None]] = {
    "method": check_method,
    "perturbation": check_perturbation,
    "model-perturbation": check_model_perturbation,
    "pair-metric": check_pair_metric,
    "map-metric": check_map_metric,
    "model-source": check_model_source,
    "image-source": check_image_source,
    "reporter": check_reporter,
}


def check(component: type[Component[Any]] | Component[Any]) -> None:
    """Raise ConformanceError where a component breaks the contract of its kind; `check_method` and others take more."""
    chosen = component if isinstance(component, type) else type(component)
    by_kind = _CHECKS.get(getattr(chosen, "kind", ""))
    if by_kind is None:
        check_declarations(chosen)
    else:
        by_kind(component)
