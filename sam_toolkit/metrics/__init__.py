"""Built-in metrics: similarities of two maps, and accuracies of one."""

from sam_toolkit.metrics.energy_in_box import EnergyInBox
from sam_toolkit.metrics.hog import HOG
from sam_toolkit.metrics.insertion_deletion import Deletion, Insertion
from sam_toolkit.metrics.kendall import Kendall
from sam_toolkit.metrics.lens import LensPrecision, LensRecall
from sam_toolkit.metrics.lens_correlation import LensKendall, LensSpearman
from sam_toolkit.metrics.localization import Localization, LocalizationError
from sam_toolkit.metrics.mass_centre import MassCentreDistance
from sam_toolkit.metrics.pointing_game import PointingGame
from sam_toolkit.metrics.sign_agreement import SignAgreement
from sam_toolkit.metrics.spearman import Spearman
from sam_toolkit.metrics.ssim import SSIM
from sam_toolkit.metrics.top_k import TopKIntersection

__all__ = [
    "HOG", "SSIM", "Deletion", "EnergyInBox", "Insertion", "Kendall", "LensKendall", "LensPrecision", "LensRecall",
    "LensSpearman", "Localization", "LocalizationError", "MassCentreDistance", "PointingGame", "SignAgreement",
    "Spearman", "TopKIntersection",
]  # fmt: skip
