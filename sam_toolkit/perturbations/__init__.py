"""Built-in perturbations of the input."""

from sam_toolkit.perturbations.gaussian_noise import GaussianNoise

__all__ = ["GaussianNoise"]
