"""Conformance checks that the author of a component calls in one line.

Each runs the component on a small network and small images (or on those it is given) and raises
ConformanceError, an AssertionError, with what breaks the contract, by how much, and what to change.
"""

from sam_toolkit.testing.declarations import check_declarations
from sam_toolkit.testing.every import check
from sam_toolkit.testing.examples import small_batch, small_maps, small_model
from sam_toolkit.testing.map_metrics import check_map_metric
from sam_toolkit.testing.methods import check_method
from sam_toolkit.testing.model_perturbations import check_model_perturbation
from sam_toolkit.testing.pair_metrics import check_pair_metric
from sam_toolkit.testing.perturbations import check_perturbation
from sam_toolkit.testing.sources import check_image_source, check_model_source, check_reporter, small_results
from sam_toolkit.testing.verdict import ConformanceError

__all__ = [
    "ConformanceError",
    "check",
    "check_declarations",
    "check_image_source",
    "check_map_metric",
    "check_method",
    "check_model_perturbation",
    "check_model_source",
    "check_pair_metric",
    "check_perturbation",
    "check_reporter",
    "small_batch",
    "small_maps",
    "small_model",
    "small_results",
]
