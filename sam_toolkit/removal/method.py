"""Removal-based attributions as a method of studies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Self

import torch
from pydantic import model_validator
from torch import Tensor

from sam_toolkit.component import MapFacts, Method
from sam_toolkit.fills import Fill, Filling
from sam_toolkit.methods.superpixels import Slic
from sam_toolkit.model import Model, Score
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
from sam_toolkit.removal.games import Evaluator, Game
from sam_toolkit.removal.players import Players, patches, superpixels
from sam_toolkit.removal.regression import kernel_weights
from sam_toolkit.removal.removals import Baseline, Scene
from sam_toolkit.removal.summaries import summary
from sam_toolkit.removal.symmetric import MOST_ENUMERATED, Summary
from sam_toolkit.rng import Rng
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
        return self.fill == "noise" or (self.summary in _ESTIMATORS and not self.enumerates)

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

    def look(self) -> _Look:
        """Return how images are cut and filled, without the numbers that do not matter to it."""
        slic = Slic(self.players, self.compactness, self.sigma) if self.segmentation == "slic" else None
        return _Look(self.players, slic, Filling.of(self.fill, self.blur_sigma, self.seed))

    def run(self) -> _Run:
        """Return what the masks depend on, but for how many they are."""
        if self.summary not in _ESTIMATORS:
            return _Run(self.summary, 0, 0.0, None)
        keep = self.keep if self.estimator == "means" else _EVEN
        return _Run(self.estimator, self.seed, keep, self.samples if self.draws == "independent" else None)

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


class _Look(NamedTuple):
    """What the value of a mask depends on, but for the score."""

    players: int
    slic: Slic | None
    filling: Filling

    def parts(self, batch: Batch) -> Players:
        """Return the players of a batch of one image."""
        if self.slic is None:
            height, width = batch.images.shape[-2:]
            return patches((height, width), self.players)
        (image,) = batch.images
        if batch.origins:
            (origin,) = batch.origins
            image = origin.image(origin.picture())
        return superpixels(image, self.slic, self.players)

    def removal(self) -> Baseline:
        """Return what removes players."""
        return Baseline(self.filling.fill, self.filling.blur_sigma or 1.0, self.filling.seed or 0)


class _Run(NamedTuple):
    """What masks depend on.

    Attributes:
        way: the estimator, or the summary where that has masks of its own.
        of: the number of samples where it makes the draws others.
    """

    way: str
    seed: int
    keep: float
    of: int | None


class RemovalBased(Method[RemovalParams]):
    """What each part of the image adds to the target's score, over subsets of the parts that are shown.

    One set of predictions serves every summary: all subsets of up to 16 players, or those that estimators draw. An
    image of so little structure that slic cuts it into fewer superpixels has players without a pixel. Superpixels are
    those of the photograph, where the image is a perturbed one.
    """

    name = "removal"
    reference = "Covert, Lundberg and Lee, Explaining by Removing, JMLR 2021; Lin, Covert and Lee, NeurIPS 2023"

    def shares(self, params: RemovalParams) -> frozenset[str]:
        """Return every field but the score: settings share the values of masks of images cut and filled alike."""
        return frozenset(RemovalParams.model_fields) - {"score"}

    def reruns(self, params: RemovalParams, count: int) -> list[RemovalParams]:
        """Return settings with other seeds; none where nothing is drawn."""
        return super().reruns(params, count) if params.random else []

    def facts(self, params: RemovalParams) -> MapFacts:
        """Return that means of probabilities are not negative."""
        return MapFacts(signed=params.summary != "rise" or params.score == "logit")

    def grid(self, params: RemovalParams, size: tuple[int, int]) -> tuple[int, int]:
        """Return the rows of patches and the most of them in a row; of superpixels, the size of the image."""
        if params.segmentation == "slic":
            return size
        labels = patches(size, params.players).labels
        return len(labels[:, 0].unique()), max(len(row.unique()) for row in labels)

    def rows(self, settings: Sequence[RemovalParams], shape: tuple[int, int, int]) -> int:
        """Return, for each way to cut and fill, the number of subsets or else of the masks of the longest runs."""
        return sum(_masks([settings[index] for index in own]) for own in _by_look(settings).values())

    def maps(self, model: Model, batch: Batch, settings: Sequence[RemovalParams], rng: Rng) -> Tensor:
        """Return maps `[S, N, H, W]`, each part painted with its attribution."""
        maps = torch.empty(len(settings), len(batch), *batch.images.shape[-2:], device=model.device)
        for look, own in _by_look(settings).items():
            for image in range(len(batch)):
                one = batch.select([image])
                scene = Scene(model, one, look.parts(one), rng)
                values = _attributions(scene, look, [settings[index] for index in own])
                maps[own, image] = scene.players.paint(values).to(maps)
        return maps


def _attributions(scene: Scene, look: _Look, settings: Sequence[RemovalParams]) -> Tensor:
    """Return the attributions `[S, d]` of settings that cut and fill alike, from one game."""
    designs = {one: one.design(_draw(one, scene)) for one in settings if not one.enumerates}
    evaluator = Evaluator(scene, look.removal(), settings[0].score)
    if len(designs) < len(settings):
        game = Game(look.players, evaluator.all())
    else:
        masks = torch.cat([designs[one].masks for one in _longest(settings)])
        game = Game(look.players, evaluator.of(masks), masks)
    return torch.stack([
        designs[one].operator.apply(game.of(designs[one].masks)) if one in designs else one.whole().apply(game.values)
        for one in settings
    ])  # fmt: skip


def _by_look(settings: Sequence[RemovalParams]) -> dict[_Look, list[int]]:
    """Return the places of the settings that cut and fill alike."""
    found: dict[_Look, list[int]] = {}
    for index, setting in enumerate(settings):
        found.setdefault(setting.look(), []).append(index)
    return found


def _masks(settings: Sequence[RemovalParams]) -> int:
    """Return how many masks settings that cut and fill alike need."""
    if any(setting.enumerates for setting in settings):
        return 1 << settings[0].players
    return sum(setting.masks for setting in _longest(settings))


def _longest(settings: Sequence[RemovalParams]) -> list[RemovalParams]:
    """Return the setting with the most samples of each run: the masks of the others are among its own."""
    found: dict[_Run, RemovalParams] = {}
    for setting in settings:
        run = setting.run()
        if run not in found or setting.samples > found[run].samples:
            found[run] = setting
    return list(found.values())


def _draw(setting: RemovalParams, scene: Scene) -> Draw:
    stream, (image_id,) = scene.rng.child("masks", setting.seed), scene.batch.ids
    if setting.draws == "independent":
        stream = stream.child(setting.samples)
    return lambda index: stream.generator(image_id, index)
