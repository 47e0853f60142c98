"""Hyperparameters of removal-based attributions, and what settings have in common."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator
from torch import Tensor

from sam_toolkit.fills import Fill, Filling
from sam_toolkit.methods.superpixels import Slic
from sam_toolkit.model import Model, Score
from sam_toolkit.removal.background import BackgroundParams
from sam_toolkit.removal.estimators import (
    Design,
    Draw,
    difference,
    inclusion,
    kernel_shap,
    permutations,
    regression,
    without_chance,
)
from sam_toolkit.removal.players import Players, patches, superpixels
from sam_toolkit.removal.regression import kernel_weights
from sam_toolkit.removal.removals import Baseline, Removal
from sam_toolkit.removal.summaries import summary
from sam_toolkit.removal.symmetric import MOST_ENUMERATED, Summary
from sam_toolkit.types import Batch, Params, field

Estimator = Literal["exact", "permutation", "antithetic", "kernel-shap", "regression", "means"]

_ESTIMATORS: dict[str, tuple[Estimator, ...]] = {
    "shapley": ("exact", "permutation", "antithetic", "kernel-shap"),
    "banzhaf": ("exact", "permutation", "antithetic", "regression", "means"),
    "beta-shapley": ("exact", "permutation", "antithetic"),
    "rise": ("exact", "means"),
    "lime": ("exact", "regression"),
}
"""What each summary can be estimated by; those that are not here read a mask a player, and need no estimate."""

_EVEN = 0.5
"""Probability that a player is shown in the masks of regressions."""


class RemovalParams(Params):
    """Hyperparameters of removal-based attributions."""

    summary: Literal["shapley", "banzhaf", "beta-shapley", "leave-one-out", "include-one", "rise", "lime"] = field(
        "shapley", help="what sums up the predictions for all subsets of players"
    )
    estimator: Estimator = field(
        "exact",
        help="exact: all subsets, of up to 16 players; permutation: random orders, for shapley, banzhaf, beta-shapley; "
        "antithetic: each with its reverse; kernel-shap: paired masks, for shapley; regression: random masks, for "
        "banzhaf, lime; means: of random masks, for banzhaf, rise; leave-one-out and include-one are exact in any case",
    )
    players: int = field(12, ge=1, le=1000, help="parts of the image that are shown or removed together")
    segmentation: Literal["grid", "slic"] = field(
        "grid", help="how the image is cut: rectangles, or superpixels, of which the smallest are joined to so many"
    )
    compactness: float = field(30.0, gt=0, help="of slic: how much nearness counts against likeness of colour")
    sigma: float = field(3.0, ge=0, help="of slic: standard deviation of the blur before, in pixels")
    fill: Fill = field("mean", help="what stands for what is removed: mean (0 at inputs), black, blur, noise, a colour")
    blur_sigma: float = field(10.0, gt=0, help="standard deviation of the blur in pixels, where fill is blur")
    background: BackgroundParams | None = field(
        None, help="photographs that stand for what is removed, in the place of the fill; a prediction is their mean"
    )
    samples: int = field(100, ge=2, help="orders or masks that an estimator draws, each with its twin where it has one")
    seed: int = field(0, ge=0, help="seed of what an estimator draws, and of the noise where fill is noise")
    draws: Literal["nested", "independent"] = field(
        "nested", help="whether the draws of fewer samples are the first of more, or others"
    )
    keep: float = field(0.5, gt=0, lt=1, help="of banzhaf and rise: probability that a player is shown")
    alpha: float = field(4.0, gt=0, help="of beta-shapley: more weighs contributions to few players more")
    beta: float = field(1.0, gt=0, help="of beta-shapley: more weighs contributions to many players more")
    kernel: Literal["cosine", "euclidean", "uniform"] = field("cosine", help="of lime: how masks are weighted")
    kernel_width: float | None = field(None, gt=0, help="of lime: width of the kernel; default: 0.25, or 0.75 sqrt(d)")
    ridge: float = field(0.0, ge=0, help="of lime: penalty on the squared coefficients, against all subsets")
    score: Score = field("probability", help="what is predicted: the target's logit or its probability")
    lipschitz: Annotated[float, Field(gt=0)] | Literal["layers"] | None = field(
        None,
        help="for bounds on changes of the input, beside which the map is the same: a Lipschitz constant of the score "
        "that you answer for, a unit of Euclidean length of images in [0, 1]; layers: the product over the network's "
        "layers, a minute a network of 224 pixels; none: bounds end with the values that were evaluated",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        able = _ESTIMATORS.get(self.summary)
        if able is not None and self.estimator not in able:
            raise ValueError(f"{self.summary} has no estimator {self.estimator!r} (it has: {', '.join(able)})")
        if self.estimator == "regression" and self.summary == "banzhaf" and self.keep != _EVEN:
            raise ValueError(f"the regression for banzhaf keeps players with probability 0.5, not {self.keep}")
        if self.enumerates and self.players > MOST_ENUMERATED:
            raise ValueError(f"exact takes at most {MOST_ENUMERATED} players, not {self.players}; choose an estimator")
        return self

    @property
    def enumerates(self) -> bool:
        """Return whether all subsets are needed."""
        return self.summary in _ESTIMATORS and self.estimator == "exact"

    @property
    def random(self) -> bool:
        """Return whether anything is drawn."""
        noise = self.fill == "noise" and self.background is None
        return noise or (self.summary in _ESTIMATORS and not self.enumerates)

    @property
    def fixed(self) -> bool:
        """Return whether what stands for what is removed is the same for a changed image."""
        return self.fill != "blur" if self.background is None else self.background.nearest is None

    def whole(self) -> Summary:
        """Return the summary over all subsets."""
        own: dict[str, dict[str, Any]] = {
            "banzhaf": {"p": self.keep},
            "rise": {"p": self.keep},
            "beta-shapley": {"alpha": self.alpha, "beta": self.beta},
            "lime": {"kernel": self.kernel, "width": self.kernel_width, "ridge": self.ridge},
        }
        found = summary(self.summary, self.players, **own.get(self.summary, {}))
        assert isinstance(found, Summary)
        return found

    def look(self) -> Look:
        """Return how images are cut and filled, without the numbers that do not matter to it."""
        slic = Slic(self.players, self.compactness, self.sigma) if self.segmentation == "slic" else None
        return Look(self.players, slic, self.background or Filling.of(self.fill, self.blur_sigma, self.seed))

    def run(self) -> Run:
        """Return what the masks depend on, but for how many they are."""
        if self.summary not in _ESTIMATORS:
            return Run(self.summary, 0, 0.0, None)
        keep = self.keep if self.estimator == "means" else _EVEN
        return Run(self.estimator, self.seed, keep, self.samples if self.draws == "independent" else None)

    def design(self, draw: Draw) -> Design:
        """Return the masks with what makes an attribution of their values."""
        match self.run().way:
            case "permutation" | "antithetic":
                antithetic = self.estimator == "antithetic"
                return permutations(self.players, self.samples, draw, antithetic=antithetic, of=self.whole())
            case "kernel-shap":
                return kernel_shap(self.players, self.samples, draw)
            case "regression":
                kernel = self.kernel if self.summary == "lime" else "uniform"
                weights = kernel_weights(kernel, self.players, self.kernel_width)
                ridge = self.ridge if self.summary == "lime" else 0.0
                return regression(self.players, self.samples, draw, kernel=weights, ridge=ridge)
            case "means":
                make = difference if self.summary == "banzhaf" else inclusion
                return make(self.players, self.samples, draw, keep=self.keep)
        return without_chance(self.whole())

    @property
    def masks(self) -> int:
        """Return how many masks the design has."""
        match self.run().way:
            case "permutation":
                return 2 + self.samples * (self.players - 1)
            case "antithetic":
                return 2 + 2 * self.samples * (self.players - 1)
            case "kernel-shap":
                return 2 + 2 * self.samples
            case "regression" | "means":
                return self.samples
        return self.players + 1


class Look(NamedTuple):
    """What the value of a mask depends on, but for the score."""

    players: int
    slic: Slic | None
    hiding: Filling | BackgroundParams

    def parts(self, batch: Batch) -> Players:
        """Return the players of a batch of one image."""
        if self.slic is None:
            height, width = batch.images.shape[-2:]
            return patches((height, width), self.players)
        image = photograph(batch)
        return superpixels(batch.images[0] if image is None else image, self.slic, self.players)

    @property
    def draws(self) -> int:
        """Return the network rows of one mask."""
        return self.hiding.draws if isinstance(self.hiding, BackgroundParams) else 1

    def removal(self, model: Model) -> Removal:
        """Return what removes players."""
        if isinstance(self.hiding, BackgroundParams):
            return self.hiding.removal(model)
        return Baseline(self.hiding.fill, self.hiding.blur_sigma or 1.0, self.hiding.seed or 0)


def photograph(batch: Batch) -> Tensor | None:
    """Return the image `[C, H, W]` that the one of a batch was before it was perturbed; None where nobody knows."""
    if not batch.origins:
        return None
    (origin,) = batch.origins
    return origin.image(origin.picture())


class Run(NamedTuple):
    """What masks depend on.

    Attributes:
        way: the estimator, or the summary where that has masks of its own.
        of: the number of samples where it makes the draws others.
    """

    way: str
    seed: int
    keep: float
    of: int | None
