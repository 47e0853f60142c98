"""LIME for images."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, product
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from sam_toolkit.component import Method
from sam_toolkit.fills import Fill, Filling
from sam_toolkit.methods.superpixels import Grid, Quickshift, Slic, Superpixels, cut, mean_colours
from sam_toolkit.model import Model, Score
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch, Params, field


class _Run(NamedTuple):
    """What network rows depend on, but for how many there are.

    Attributes:
        filling: what hides a superpixel; None: its own mean colour.
        of: the number of samples where it makes the draws others.
    """

    superpixels: Superpixels
    filling: Filling | None
    keep: float
    seed: int
    of: int | None


class LimeParams(Params):
    """Hyperparameters of LIME for images."""

    segmentation: Literal["slic", "quickshift", "grid"] = field("slic", help="how the image is cut into superpixels")
    segments: int = field(50, ge=1, help="of slic and grid: how many superpixels to aim at")
    compactness: float = field(30.0, gt=0, help="of slic: how much nearness counts against likeness of colour")
    sigma: float = field(3.0, ge=0, help="of slic: standard deviation of the blur before, in pixels")
    kernel_size: float = field(4.0, ge=1, help="of quickshift: width of the kernel that measures density, in pixels")
    max_dist: float = field(200.0, gt=0, help="of quickshift: longest step within a superpixel; more gives fewer")
    ratio: float = field(0.2, ge=0, le=1, help="of quickshift: how much likeness of colour counts against nearness")
    samples: int = field(1000, ge=2, help="copies of the image that are fitted: one whole, the others partly hidden")
    keep: float = field(0.5, gt=0, lt=1, help="probability that a superpixel is kept")
    seed: int = field(0, ge=0, help="seed of what is hidden, and of the noise where fill is noise")
    draws: Literal["nested", "independent"] = field(
        "nested", help="whether the draws of fewer samples are the first of more, or others"
    )
    fill: Fill | Literal["superpixel-mean"] = field(
        "black",
        help="what hides: black, mean (0 at inputs), superpixel-mean (lime's default), blur, noise, a level, a colour",
    )
    blur_sigma: float = field(10.0, gt=0, help="standard deviation of the blur in pixels, where fill is blur")
    kernel_width: float = field(0.25, gt=0, help="cosine distance at which a copy's weight has fallen to 0.61")
    ridge: float = field(1.0, ge=0, help="penalty on the squared coefficients; 0: least squares of the smallest norm")
    score: Score = field("probability", help="what is fitted: the target's logit or its probability")

    def superpixels(self) -> Superpixels:
        """Return how images are cut, without the numbers that do not matter to it."""
        match self.segmentation:
            case "slic":
                return Slic(self.segments, self.compactness, self.sigma)
            case "quickshift":
                return Quickshift(self.kernel_size, self.max_dist, self.ratio)
            case "grid":
                return Grid(self.segments)

    def run(self) -> _Run:
        """Return what the network rows depend on: settings with equal runs differ in their number at most."""
        filling = None if self.fill == "superpixel-mean" else Filling.of(self.fill, self.blur_sigma, self.seed)
        number = self.samples if self.draws == "independent" else None
        return _Run(self.superpixels(), filling, self.keep, self.seed, number)


class Lime(Method[LimeParams]):
    """The coefficients of a linear model of the target's score, fitted to copies of the image with superpixels hidden.

    A copy weighs exp(-d^2 / (2 kernel_width^2)), with d the cosine distance between what it keeps and everything; the
    first one is whole. The fit is a ridge regression with an intercept. This is lime's LimeImageExplainer with all
    features kept, whose own defaults are quickshift and superpixel-mean. The defaults here are those of SAM (2020),
    where an image's draws also depended on the images before it; no setting brings that back. Noise is one image of
    independent pixels, the same in all copies.
    """

    name = "lime"
    reference = "Ribeiro, Singh and Guestrin, Why Should I Trust You?, KDD 2016, arXiv:1602.04938"

    def shares(self, params: LimeParams) -> frozenset[str]:
        """Return every field but the score: settings share superpixels, and the network rows of equal runs."""
        return frozenset(LimeParams.model_fields) - {"score"}

    def rows(self, settings: Sequence[LimeParams], shape: tuple[int, int, int]) -> int:
        """Return the largest number of samples of each run, added up."""
        return sum(_longest(settings).values())

    def maps(self, model: Model, batch: Batch, settings: Sequence[LimeParams], rng: Rng) -> Tensor:
        """Return maps `[S, N, H, W]`, each superpixel painted with its coefficient."""
        runs = _longest(settings)
        copies = _Copies(model, batch, runs, rng)
        targets = torch.cat([batch.targets.repeat_interleave(samples) for samples in runs.values()])
        scores = copies.split(model.scores(copies.build, targets, settings[0].score).cpu())
        maps = torch.empty(len(settings), len(batch), *batch.images.shape[-2:], device=model.device)
        places = product(runs, range(len(batch)))
        for (run, image), part, values in zip(places, copies.parts, scores, strict=True):
            own = [index for index, setting in enumerate(settings) if setting.run() == run]
            coefficients = _coefficients([settings[index] for index in own], part.kept, values)
            maps[own, image] = coefficients.to(maps)[:, part.labels]
        return maps


@dataclass(frozen=True)
class _Part:
    """The copies of one image in one run.

    Attributes:
        image: input `[C, H, W]`.
        hidden: the same with everything hidden.
        labels: superpixel of each pixel, `[H, W]`.
        kept: whether a copy shows a superpixel, `[R, F]`.
    """

    image: Tensor
    hidden: Tensor
    labels: Tensor
    kept: Tensor

    def inputs(self, start: int, stop: int) -> Tensor:
        """Return copies start to stop, `[stop - start, C, H, W]`."""
        shown = self.kept[start:stop].to(self.labels.device)[:, self.labels]
        return torch.where(shown[:, None], self.image, self.hidden)


class _Copies:
    """The network rows of all runs, one after another, made when asked for: within a run image by image."""

    def __init__(self, model: Model, batch: Batch, runs: dict[_Run, int], rng: Rng) -> None:
        inputs = model.inputs(batch.images)
        ways = dict.fromkeys(run.superpixels for run in runs)
        labels = {way: cut(way, batch.images).to(inputs.device) for way in ways}
        hidden: dict[tuple[Superpixels | None, Filling | None], Tensor] = {}
        self.parts: list[_Part] = []
        for run, samples in runs.items():
            own = labels[run.superpixels]
            key = (run.superpixels if run.filling is None else None, run.filling)
            if key not in hidden:
                hidden[key] = _hidden(run.filling, own, model, batch, rng)
            masks = (_masks(run, samples, name, cuts, rng) for name, cuts in zip(batch.ids, own, strict=True))
            pieces = zip(inputs, hidden[key], own, masks, strict=True)
            self.parts += [_Part(*piece) for piece in pieces]
        self._ends = list(accumulate(len(part.kept) for part in self.parts))

    def build(self, start: int, stop: int) -> Tensor:
        """Return rows start to stop, `[stop - start, C, H, W]`."""
        found = []
        while start < stop:
            place = bisect_right(self._ends, start)
            part, end = self.parts[place], self._ends[place]
            first = end - len(part.kept)
            found.append(part.inputs(start - first, min(stop, end) - first))
            start = end
        return torch.cat(found)

    def split(self, values: Tensor) -> list[Tensor]:
        """Return the values of all rows part by part."""
        return [values[start:end] for start, end in pairwise([0, *self._ends])]


def _longest(settings: Sequence[LimeParams]) -> dict[_Run, int]:
    """Return the different runs of the settings, in order, with the largest number of samples of each."""
    found: dict[_Run, int] = {}
    for setting in settings:
        run = setting.run()
        found[run] = max(setting.samples, found.get(run, 0))
    return found


def _hidden(filling: Filling | None, labels: Tensor, model: Model, batch: Batch, rng: Rng) -> Tensor:
    """Return the inputs `[N, C, H, W]` of images that are hidden altogether."""
    if filling is None:
        return model.inputs(mean_colours(batch.images, labels))
    return filling.everywhere(model, batch, rng)


def _masks(run: _Run, samples: int, image_id: str, labels: Tensor, rng: Rng) -> Tensor:
    """Return which superpixels the copies of an image keep, bool `[R, F]`: the first one all of them."""
    stream = rng.child("masks", run.seed)
    if run.of is not None:
        stream = stream.child(run.of)
    count = [int(labels.max()) + 1]
    drawn = [stream.uniform(image_id, draw, count) < run.keep for draw in range(1, samples)]
    return torch.stack([torch.ones(count, dtype=torch.bool), *drawn])


def _coefficients(settings: Sequence[LimeParams], kept: Tensor, scores: Tensor) -> Tensor:
    """Return the coefficients `[S, F]`, float64, of ridge regressions of scores `[R]` on masks `[R, F]`.

    Solved as least squares with the penalty as further rows, so that there may be fewer samples than superpixels.
    """
    # As drops by what is hidden, the whole image is zero: its weight, often far above all others, cancels nothing.
    hidden, drops = (~kept).double(), scores[0].double() - scores.double()
    samples, widths, ridges = drops.new_tensor([[s.samples, s.kernel_width, s.ridge] for s in settings]).T[..., None]
    distances = 1 - (1 - hidden.mean(dim=1)).sqrt()
    weights = torch.exp(-(distances / widths).square() / 2) * (torch.arange(len(kept)) < samples)
    shares = (weights / weights.sum(dim=1, keepdim=True))[:, None]
    roots = weights.sqrt()[..., None]
    penalty = ridges.sqrt()[..., None] * torch.eye(hidden.shape[1])
    design = torch.cat([roots * (hidden - shares @ hidden), penalty], dim=1)
    response = torch.cat([roots * (drops - shares @ drops)[..., None], torch.zeros_like(penalty[..., :1])], dim=1)
    solved: Tensor = torch.linalg.lstsq(design, response, driver="gelsy").solution
    return solved[..., 0]
