"""The experiment on synthetic Gaussian data: how far Shapley values move, by how features are removed.

Four standard normal features, the first two with correlation rho, and logistic models of them, as in Lin, Covert and
Lee, NeurIPS 2023. `python -m sam_toolkit.removal.synthetic` prints its tables.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from sam_toolkit.model import Model
from sam_toolkit.removal.games import game
from sam_toolkit.removal.gaussian import Gaussian
from sam_toolkit.removal.limits import conditional_removal, fixed_removal
from sam_toolkit.removal.lipschitz import given_lipschitz
from sam_toolkit.removal.removals import Baseline, GaussianConditional, Marginal, Removal
from sam_toolkit.removal.summaries import summary
from sam_toolkit.removal.total_variation import gaussian_law
from sam_toolkit.rng import Rng

FEATURES = 4
MODELS = (5.0, 0.0, 3.0, 1.0), (0.0, 5.0, 3.0, 1.0)
"""Weights of two models that agree wherever the first two features do."""
RATIOS = (4.0, 3.0, 2.0, 1.0)
"""Ratios of the weights of the model whose inputs are perturbed: what became of the paper's is not known."""
CORRELATIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
SCALES = (0.05, 0.1, 0.5, 1.0, 2.0)

_RNG = Rng(0, ("synthetic",))
_ROWS = 256
"""Rows of the background, and points of conditional laws."""
_POINTS, _BACKGROUND = 1, 2
"""Seeds."""
_LARGEST = 2.0
_AXES = ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (1, 1, 0, 0), (1, -1, 0, 0))
"""Directions of perturbations before random ones: features by themselves, and the first two together."""


@dataclass(frozen=True)
class Spread:
    """Quartiles of the changes of attributions over points, and the largest."""

    lower: float
    median: float
    upper: float
    largest: float


@dataclass(frozen=True)
class Slope:
    """The largest change of attributions a unit of perturbation, and what theory allows.

    Attributes:
        paper: the paper's bound; infinite where it has none.
        sharper: with the constants of this package.
    """

    measured: float
    paper: float
    sharper: float


def law(correlation: float) -> Gaussian:
    """Return the distribution of the features."""
    covariance = torch.eye(FEATURES)
    covariance[0, 1] = covariance[1, 0] = correlation
    return Gaussian.of(torch.zeros(FEATURES), covariance)


def removals(correlation: float) -> dict[str, Removal]:
    """Return the ways to remove features, by name; the background and all points are the same in every call."""
    return {
        "baseline": Baseline(0.0),
        "marginal": Marginal(_sampled(correlation, _ROWS, _BACKGROUND)),
        "conditional": GaussianConditional(law(correlation), _ROWS),
    }


def logistic(weights: Sequence[float]) -> Model:
    """Return a model whose one "logit" is the probability sigmoid(weights . x)."""
    linear = nn.Linear(FEATURES, 1, bias=False)
    linear.weight.data = torch.tensor([weights])
    return Model(nn.Sequential(linear, nn.Sigmoid()).requires_grad_(False), chunk=16384)


def change_of_model(correlation: float, points: int = 512) -> dict[str, Spread]:
    """Return, by removal, how far Shapley values move between the two `MODELS`, over points of the distribution."""
    first, second = (logistic(weights) for weights in MODELS)
    rows = _sampled(correlation, points, _POINTS)
    return {
        name: _spread(torch.stack([_shapley(first, row, how) - _shapley(second, row, how) for row in rows]))
        for name, how in removals(correlation).items()
    }


def change_of_input(correlation: float, scale: float = 1.0, points: int = 60) -> dict[str, Slope]:
    """Return, by removal, the steepest change of Shapley values with perturbations of length up to 2.

    The model's weights have length 0.2 `scale`, so that its Lipschitz constant is 0.05 `scale`.
    """
    ratios = torch.tensor(RATIOS)
    model, steepest = logistic((0.2 * scale * ratios / ratios.norm()).tolist()), given_lipschitz(0.05 * scale)
    moving = gaussian_law(law(correlation).covariance)
    exact, pairs, slopes = summary("shapley", players=FEATURES), list(_pairs(correlation, points)), {}
    for name, how in removals(correlation).items():
        limit = (
            conditional_removal(steepest, 1.0, moving, oscillation=1.0)
            if how.conditional
            else fixed_removal(steepest, 1.0)
        )
        moved = [_shapley(model, row + change, how) - _shapley(model, row, how) for row, change in pairs]
        measured = max(float(each.norm() / change.norm()) for each, (_, change) in zip(moved, pairs, strict=True))
        slopes[name] = Slope(measured, exact.bound_constant * limit.value, exact.sharper.input * limit.sharper)
    return slopes


def report(console: Console, points: int = 512, pairs: int = 60) -> None:
    """Print the tables of the experiment, with so many points for the models and twice so many pairs of inputs."""
    models = Table("rho", "removal", "lower quartile", "median", "upper quartile", "largest")
    models.title = f"Change of Shapley values between two models, at {points} points"
    for correlation in (0.0, 0.4, 0.8, 1.0):
        for name, found in change_of_model(correlation, points).items():
            numbers = (found.lower, found.median, found.upper, found.largest)
            models.add_row(f"{correlation:g}", name, *(f"{number:.3f}" for number in numbers))
    console.print(models)
    inputs = Table("rho", "alpha", "removal", "measured", "sharper bound", "paper's bound")
    inputs.title = "Steepest change of Shapley values a unit of perturbation of the input"
    settings = [(rho, 1.0) for rho in CORRELATIONS] + [(1.0, scale) for scale in SCALES]
    for correlation, scale in dict.fromkeys(settings):
        for name, slope in change_of_input(correlation, scale, pairs).items():
            bounds = [f"{bound:.4f}" if math.isfinite(bound) else "none" for bound in (slope.sharper, slope.paper)]
            inputs.add_row(f"{correlation:g}", f"{scale:g}", name, f"{slope.measured:.4f}", *bounds)
    console.print(inputs)


def _shapley(model: Model, row: Tensor, removal: Removal) -> Tensor:
    values = game(model, row, None, removal, target=0, score="logit").values
    return summary("shapley", players=FEATURES).apply(values)


def _sampled(correlation: float, count: int, seed: int) -> Tensor:
    """Return `count` rows spread evenly over the distribution; those of all correlations come from the same points."""
    _, root = law(correlation).given(torch.zeros(FEATURES, dtype=torch.bool))
    rows = GaussianConditional(law(correlation), count, seed).points @ root
    return rows.float()


def _pairs(correlation: float, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield points with perturbations of lengths up to 2: across the mean, where the model is steepest, and elsewhere.

    They go along `_AXES`, then in random directions.
    """
    directions = _RNG.normal("directions", 0, (count, FEATURES))
    directions[: len(_AXES)] = torch.tensor(_AXES[:count], dtype=torch.float32)
    lengths = _LARGEST * (1 - _RNG.uniform("lengths", 0, (count, 1)))
    changes = directions / directions.norm(dim=1, keepdim=True) * lengths
    yield from zip(-changes / 2, changes, strict=True)
    yield from zip(_sampled(correlation, count, _POINTS), changes, strict=True)


def _spread(changes: Tensor) -> Spread:
    lengths = changes.norm(dim=1)
    lower, median, upper, largest = (float(lengths.quantile(share)) for share in (0.25, 0.5, 0.75, 1.0))
    return Spread(lower, median, upper, largest)


if __name__ == "__main__":
    report(Console())
