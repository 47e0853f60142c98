"""Meaningful Perturbation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter
from torch import Tensor

from sam_toolkit.component import MapFacts, Method
from sam_toolkit.errors import ComponentError
from sam_toolkit.fills import Fill, Filling
from sam_toolkit.methods.mask_optimisation import Adam, Course, Penalty, Run, optimise
from sam_toolkit.methods.mask_starts import Circular, Discs, Random, Search, first_masks
from sam_toolkit.methods.soft_masks import Cover, Jitter, Scenes, Upsampling
from sam_toolkit.model import Model, Score
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch, Params, field

_TUNED_SIZE = 28
"""The mask size that the weights are meant for; they are scaled where another one is asked for."""

_SAM_SEARCH_BLUR, _SAM_LARGEST = 10.0, 170.0
"""Of the original's search for a disc: standard deviation of the blur in pixels, and the largest radius in cells."""

_Convention = Literal["sam-2020", "jitter-frame", "disc-unit", "search-blur", "own-size-blur", "8-bit"]
"""What the original did another way, by name; all of it together."""


class MeaningfulPerturbationParams(Params):
    """Hyperparameters of Meaningful Perturbation."""

    conventions: ClassVar[Mapping[str, Mapping[str, Any]]] = {"sam-2020": {"scaling": "none"}}

    mask_size: int = field(28, ge=1, help="cells of the mask along each side, at most the image's shorter side")
    init: Literal["circular", "ones", "random"] = field(
        "circular", help="where masks start: the smallest disc whose hiding suppresses the score, nothing hidden, noise"
    )
    iterations: int = field(300, ge=1, help="steps of Adam; fewer are a snapshot of more")
    fill: Fill = field("blur", help="what hides: blur, black, mean (0 at inputs), noise, a level, a colour")
    blur_sigma: float = field(10.0, gt=0, help="standard deviation of the blur in pixels, where fill is blur")
    l1: float = field(1e-4, ge=0, help="weight of what is hidden, summed over the cells")
    tv: float = field(1e-2, ge=0, help="weight of the total variation, summed over the cells")
    tv_exponent: float = field(3.0, ge=1, help="power of the differences between neighbours in the total variation")
    scaling: Literal["area", "integral", "none"] = field(
        "area",
        help="how weights, meant for 28 x 28 cells, follow mask_size: both by the area of a cell; as integrals over "
        "the image; not at all",
    )
    jitter: int = field(4, ge=1, help="how many places, along each axis, the image is moved to at random; 1: none")
    learning_rate: float = field(0.1, gt=0, help="of Adam")
    beta1: float = field(0.9, ge=0, lt=1, help="of Adam: decay of the mean of gradients")
    beta2: float = field(0.999, ge=0, lt=1, help="of Adam: decay of the mean of squared gradients")
    epsilon: float = field(1e-8, gt=0, help="of Adam: what is added to the root of the mean square")
    upsampling: Literal["nearest", "bilinear", "gaussian"] = field(
        "nearest", help="how masks become as large as images"
    )
    upsampling_sigma: float = field(5.0, gt=0, help="of gaussian upsampling: standard deviation in pixels")
    circle_step: float = field(5.0, gt=0, help="of circular: from one radius tried to the next, from 0 on, in pixels")
    circle_largest: float | None = field(
        None, gt=0, help="of circular: the largest radius tried; none: the first that covers the image"
    )
    circle_sigma: float = field(10.0, ge=0, help="of circular: standard deviation of the blur of the disc, in pixels")
    suppression: float = field(
        0.99, gt=0, lt=1, help="of circular: share of the drop under the largest disc that a disc has to reach"
    )
    search_blur: float | None = field(
        None, gt=0, help="of circular: what takes the place of blur_sigma while discs are tried; none: nothing does"
    )
    map_sigma: float = field(1.0, ge=0, help="standard deviation in pixels of the blur of the map; 0: none")
    seed: int = field(0, ge=0, help="seed of the jitter, of a random init, and of the noise where fill is noise")
    score: Score = field("probability", help="what is made small: the target's logit or its probability")
    compat: _Convention | tuple[_Convention, ...] | None = field(
        None,
        help="conventions of SAM's code. jitter-frame: the image, enlarged, moves under the mask, else both move; "
        "disc-unit: circle_step, circle_largest (170 if none) and circle_sigma are in cells; search-blur: 10 where "
        "search_blur is none; own-size-blur: blurs are in pixels of the photograph, before it was resized; "
        "8-bit: maps are rounded to 8 bits; sam-2020: all of them",
    )

    def follows(self, convention: _Convention) -> bool:
        """Return whether a convention of the original's is kept."""
        kept = self.compat if isinstance(self.compat, tuple) else (self.compat,)
        return convention in kept or "sam-2020" in kept

    def drawn(self) -> bool:
        """Return whether anything depends on the seed."""
        return self.init == "random" or self.jitter > 1 or self.fill == "noise"

    def run(self) -> Run:
        """Return what the optimisation depends on: settings with equal runs differ in when and how maps are taken."""
        adam = Adam(self.learning_rate, self.beta1, self.beta2, self.epsilon)
        return Run(self.cover(self.blur_sigma), self.penalty(), adam, self.start(), self.seed if self.jitter > 1 else 0)

    def cover(self, blur_sigma: float) -> Cover:
        """Return how masks hide, with that blur where fill is blur."""
        frame: Literal["window", "image"] = "window" if self.follows("jitter-frame") and self.jitter > 1 else "image"
        filling = Filling.of(self.fill, blur_sigma, self.seed, self.follows("own-size-blur"))
        return Cover(filling, Jitter(self.jitter, frame), self.upsampled())

    def upsampled(self) -> Upsampling:
        """Return how masks become as large as images, without the numbers that do not matter to it."""
        return Upsampling(
            self.mask_size, self.upsampling, self.upsampling_sigma if self.upsampling == "gaussian" else None
        )

    def start(self) -> Circular | Random | None:
        """Return how masks start; None: with nothing hidden."""
        match self.init:
            case "circular":
                return Circular(self.discs(), self.suppression)
            case "random":
                return Random(self.seed)
            case "ones":
                return None

    def discs(self) -> Discs:
        """Return the discs that are tried where init is circular."""
        blur = self.search_blur or (_SAM_SEARCH_BLUR if self.follows("search-blur") else self.blur_sigma)
        cells = self.follows("disc-unit")
        largest = self.circle_largest or (_SAM_LARGEST if cells else None)
        return Discs(
            self.cover(blur).resting(), self.circle_step, largest, self.circle_sigma, "cell" if cells else "pixel"
        )

    def penalty(self) -> Penalty:
        """Return the penalty on masks, with weights for their size."""
        ratio = self.mask_size / _TUNED_SIZE
        match self.scaling:
            case "area":
                hidden, rough = ratio**-2, ratio**-2
            case "integral":
                hidden, rough = ratio**-2, ratio ** (self.tv_exponent - 2)
            case "none":
                hidden, rough = 1.0, 1.0
        return Penalty(self.l1 * hidden, self.tv * rough, self.tv_exponent)


class MeaningfulPerturbation(Method[MeaningfulPerturbationParams]):
    """A soft mask that hides as little as possible, as smoothly, and makes the target's score small; 1 is hidden.

    Adam lowers the score of the image under the mask, plus l1 times what is hidden, plus tv times the total variation.
    The defaults are those of SAM (2020): a mask of 28 x 28 cells over the blurred image. Settings with one seed are
    moved alike by the jitter. No setting brings back SAM's one random init for all images.
    """

    name = "meaningful-perturbation"
    version = "2"
    reference = "Fong and Vedaldi, Interpretable Explanations of Black Boxes by Meaningful Perturbation, ICCV 2017"
    gradients = True
    tolerance = 0.01
    """Nothing differs on a CPU, where network rows go one at a time. Where they go together, as on a GPU, the steps
    amplify rounding, past this within some tens of them."""

    def shares(self, params: MeaningfulPerturbationParams) -> frozenset[str]:
        """Return every field but the score: runs ride in one batch, and fewer iterations are snapshots of more."""
        return frozenset(MeaningfulPerturbationParams.model_fields) - {"score"}

    def reruns(self, params: MeaningfulPerturbationParams, count: int) -> list[MeaningfulPerturbationParams]:
        """Return settings with other seeds where something is drawn."""
        return super().reruns(params, count) if params.drawn() else []

    def facts(self, params: MeaningfulPerturbationParams) -> MapFacts:
        """Return that maps are shares of what is hidden."""
        return MapFacts(signed=False, value_range=(0.0, 1.0))

    def grid(self, params: MeaningfulPerturbationParams, size: tuple[int, int]) -> tuple[int, int]:
        """Return the mask's size."""
        return params.mask_size, params.mask_size

    def rows(self, settings: Sequence[MeaningfulPerturbationParams], shape: tuple[int, int, int]) -> int:
        """Return the most iterations of each run, added up, and one for each disc that is tried."""
        runs = _runs(settings)
        return sum(map(max, runs.values())) + sum(len(discs.radii(*shape[1:])) for discs in _discs(runs))

    def maps(self, model: Model, batch: Batch, settings: Sequence[MeaningfulPerturbationParams], rng: Rng) -> Tensor:
        """Return maps `[S, N, H, W]`; raises ComponentError where a mask has more cells than the images pixels."""
        height, width = batch.images.shape[-2:]
        _check_sizes(settings, min(height, width))
        scenes, score, runs = Scenes(model, batch, rng), settings[0].score, _runs(settings)
        with model.one_by_one(batch.images.shape[1:]):
            searches = {discs: Search(discs, scenes, score) for discs in _discs(runs)}
            starts = {run: first_masks(run.start, run.cover.upsampling.size, searches, scenes) for run in runs}
            courses = {run: Course(starts[run], frozenset(wanted)) for run, wanted in runs.items()}
            found = optimise(courses, scenes, score)
        masks = [found[setting.run()][setting.iterations] for setting in settings]
        maps = [_map(setting, own, (height, width)) for setting, own in zip(settings, masks, strict=True)]
        return torch.stack(maps).to(model.device)


def _runs(settings: Sequence[MeaningfulPerturbationParams]) -> dict[Run, set[int]]:
    """Return the different runs of the settings, in order, each with the numbers of iterations that are wanted."""
    found: dict[Run, set[int]] = {}
    for setting in settings:
        found.setdefault(setting.run(), set()).add(setting.iterations)
    return found


def _discs(runs: Iterable[Run]) -> dict[Discs, None]:
    """Return the different discs that are tried, in order."""
    return dict.fromkeys(run.start.discs for run in runs if isinstance(run.start, Circular))


def _check_sizes(settings: Sequence[MeaningfulPerturbationParams], side: int) -> None:
    for setting in settings:
        if setting.mask_size > side:
            raise ComponentError(
                "MeaningfulPerturbation: mask_size must be at most the image's shorter side; "
                f"got {setting.mask_size} for a side of {side}. Choose smaller masks."
            )


def _map(setting: MeaningfulPerturbationParams, masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Return what masks `[N, size, size]` hide, as maps `[N, H, W]`."""
    shown = setting.upsampled().enlarge(masks.cpu(), *size).numpy()
    if setting.follows("8-bit"):
        blurred = np.stack([_blurred_in_8_bits(mask, setting.map_sigma) for mask in shown])
    else:
        blurred = gaussian_filter(shown, setting.map_sigma, mode="nearest", axes=(1, 2))
    return (1 - torch.from_numpy(blurred)).clamp(0, 1).float()


def _blurred_in_8_bits(mask: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    picture = Image.fromarray((255 * mask).astype(np.uint8))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(sigma))) / 255
