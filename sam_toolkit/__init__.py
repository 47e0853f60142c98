"""Find out whether a saliency map can be trusted: vary the arbitrary choices behind it and compare the maps.

Names are imported when they are first used, so that `sam-toolkit --help` needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sam_toolkit.api import run as run
    from sam_toolkit.api import sensitivity as sensitivity
    from sam_toolkit.bounding import Bound as Bound
    from sam_toolkit.bounding import Chain as Chain
    from sam_toolkit.bounding import Explained as Explained
    from sam_toolkit.bounding import Kept as Kept
    from sam_toolkit.component import ImageSource as ImageSource
    from sam_toolkit.component import MapFacts as MapFacts
    from sam_toolkit.component import MapMetric as MapMetric
    from sam_toolkit.component import Method as Method
    from sam_toolkit.component import ModelPerturbation as ModelPerturbation
    from sam_toolkit.component import ModelSource as ModelSource
    from sam_toolkit.component import PairMetric as PairMetric
    from sam_toolkit.component import PairScores as PairScores
    from sam_toolkit.component import Perturbation as Perturbation
    from sam_toolkit.component import Perturbed as Perturbed
    from sam_toolkit.component import Reporter as Reporter
    from sam_toolkit.component import Work as Work
    from sam_toolkit.errors import ComponentError as ComponentError
    from sam_toolkit.errors import ImageError as ImageError
    from sam_toolkit.errors import ModelError as ModelError
    from sam_toolkit.errors import OpError as OpError
    from sam_toolkit.errors import PluginError as PluginError
    from sam_toolkit.errors import SamError as SamError
    from sam_toolkit.errors import SpecError as SpecError
    from sam_toolkit.errors import StoreError as StoreError
    from sam_toolkit.functions import method as method
    from sam_toolkit.hookspecs import hookimpl as hookimpl
    from sam_toolkit.images import Photo as Photo
    from sam_toolkit.images import Preprocessing as Preprocessing
    from sam_toolkit.incremental import IncrementalOcclusion as IncrementalOcclusion
    from sam_toolkit.methods import GradCam as GradCam
    from sam_toolkit.methods import Gradient as Gradient
    from sam_toolkit.methods import GuidedBackprop as GuidedBackprop
    from sam_toolkit.methods import InputXGradient as InputXGradient
    from sam_toolkit.methods import IntegratedGradients as IntegratedGradients
    from sam_toolkit.methods import Lime as Lime
    from sam_toolkit.methods import LimeParams as LimeParams
    from sam_toolkit.methods import MeaningfulPerturbation as MeaningfulPerturbation
    from sam_toolkit.methods import Rise as Rise
    from sam_toolkit.methods import SlidingPatch as SlidingPatch
    from sam_toolkit.methods import SmoothGrad as SmoothGrad
    from sam_toolkit.methods.channels import Channels as Channels
    from sam_toolkit.methods.channels import reduce_channels as reduce_channels
    from sam_toolkit.metrics import HOG as HOG
    from sam_toolkit.metrics import SSIM as SSIM
    from sam_toolkit.metrics import Deletion as Deletion
    from sam_toolkit.metrics import EnergyInBox as EnergyInBox
    from sam_toolkit.metrics import Insertion as Insertion
    from sam_toolkit.metrics import Kendall as Kendall
    from sam_toolkit.metrics import LensKendall as LensKendall
    from sam_toolkit.metrics import LensPrecision as LensPrecision
    from sam_toolkit.metrics import LensRecall as LensRecall
    from sam_toolkit.metrics import LensSpearman as LensSpearman
    from sam_toolkit.metrics import Localization as Localization
    from sam_toolkit.metrics import LocalizationError as LocalizationError
    from sam_toolkit.metrics import MassCentreDistance as MassCentreDistance
    from sam_toolkit.metrics import PointingGame as PointingGame
    from sam_toolkit.metrics import SignAgreement as SignAgreement
    from sam_toolkit.metrics import Spearman as Spearman
    from sam_toolkit.metrics import TopKIntersection as TopKIntersection
    from sam_toolkit.metrics.growing_sets import top_k_mask as top_k_mask
    from sam_toolkit.metrics.lens_curves import lens_over_k as lens_over_k
    from sam_toolkit.metrics.lens_curves import lens_over_w as lens_over_w
    from sam_toolkit.model import Model as Model
    from sam_toolkit.model import Rows as Rows
    from sam_toolkit.model_perturbations import OtherWeights as OtherWeights
    from sam_toolkit.model_perturbations import WeightNoise as WeightNoise
    from sam_toolkit.model_perturbations import WeightRandomization as WeightRandomization
    from sam_toolkit.perturbations import AttributionAttack as AttributionAttack
    from sam_toolkit.perturbations import GaussianNoise as GaussianNoise
    from sam_toolkit.perturbations import RandomSign as RandomSign
    from sam_toolkit.perturbations import RandomWalk as RandomWalk
    from sam_toolkit.removal import RemovalBased as RemovalBased
    from sam_toolkit.rng import Rng as Rng
    from sam_toolkit.smoothing import smoothed as smoothed
    from sam_toolkit.types import Batch as Batch
    from sam_toolkit.types import Params as Params
    from sam_toolkit.types import field as field

_HOME = {
    "api": ("run", "sensitivity"),
    "bounding": ("Bound", "Chain", "Explained", "Kept"),
    "component": (
        "ImageSource", "MapFacts", "MapMetric", "Method", "ModelPerturbation", "ModelSource", "PairMetric",
        "PairScores", "Perturbation", "Perturbed", "Reporter", "Work",
    ),
    "errors": (
        "ComponentError", "ImageError", "ModelError", "OpError", "PluginError", "SamError", "SpecError", "StoreError",
    ),
    "functions": ("method",),
    "hookspecs": ("hookimpl",),
    "images": ("Photo", "Preprocessing"),
    "incremental": ("IncrementalOcclusion",),
    "methods": (
        "GradCam", "Gradient", "GuidedBackprop", "InputXGradient", "IntegratedGradients", "Lime", "LimeParams",
        "MeaningfulPerturbation", "Rise", "SlidingPatch", "SmoothGrad",
    ),
    "methods.channels": ("Channels", "reduce_channels"),
    "metrics": (
        "Deletion", "EnergyInBox", "HOG", "Insertion", "Kendall", "LensKendall", "LensPrecision", "LensRecall",
        "LensSpearman", "Localization", "LocalizationError", "MassCentreDistance", "PointingGame", "SSIM",
        "SignAgreement", "Spearman", "TopKIntersection",
    ),
    "metrics.growing_sets": ("top_k_mask",),
    "metrics.lens_curves": ("lens_over_k", "lens_over_w"),
    "model": ("Model", "Rows"),
    "model_perturbations": ("OtherWeights", "WeightNoise", "WeightRandomization"),
    "perturbations": ("AttributionAttack", "GaussianNoise", "RandomSign", "RandomWalk"),
    "removal": ("RemovalBased",),
    "rng": ("Rng",),
    "smoothing": ("smoothed",),
    "types": ("Batch", "Params", "field"),
}  # fmt: skip
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted(_MODULE)  # noqa: PLE0605 - one list of names, not two
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first asked for."""
    if name not in _MODULE:
        raise AttributeError(f"module 'sam_toolkit' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"sam_toolkit.{_MODULE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return [*__all__, "__version__"]
