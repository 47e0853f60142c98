"""Built-in perturbations of the input."""

from sam_toolkit.perturbations.attribution_attack import AttributionAttack
from sam_toolkit.perturbations.gaussian_noise import GaussianNoise
from sam_toolkit.perturbations.random_sign import RandomSign
from sam_toolkit.perturbations.random_walk import RandomWalk

__all__ = ["AttributionAttack", "GaussianNoise", "RandomSign", "RandomWalk"]
