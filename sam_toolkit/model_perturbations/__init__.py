"""Built-in changes of the network."""

from sam_toolkit.model_perturbations.other_weights import OtherWeights
from sam_toolkit.model_perturbations.weight_noise import WeightNoise
from sam_toolkit.model_perturbations.weight_randomization import WeightRandomization

__all__ = ["OtherWeights", "WeightNoise", "WeightRandomization"]
