"""Built-in metrics: similarities of two maps, and accuracies of one."""

from sam_toolkit.metrics.energy_in_box import EnergyInBox
from sam_toolkit.metrics.hog import HOG
from sam_toolkit.metrics.insertion_deletion import Deletion, Insertion
from sam_toolkit.metrics.localization import Localization, LocalizationError
from sam_toolkit.metrics.pointing_game import PointingGame
from sam_toolkit.metrics.spearman import Spearman
from sam_toolkit.metrics.ssim import SSIM

__all__ = [
    "HOG", "SSIM", "Deletion", "EnergyInBox", "Insertion", "Localization", "LocalizationError", "PointingGame",
    "Spearman",
]  # fmt: skip
