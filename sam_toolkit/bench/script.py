"""The script that a user writes today: captum, lime, scikit-image, SciPy and loops in PyTorch, a setting at a time.

Captum's methods and the loops that a user has in their place are both here: whichever is quicker on a trial takes part,
in its quickest layout and batch. Draws are those of ours, at the price of a library's, so that maps can be compared.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from types import SimpleNamespace
from typing import Any, Literal
from unittest.mock import patch

import numpy as np
import torch
from scipy.stats import pearsonr, spearmanr
from skimage.feature import hog
from skimage.metrics import structural_similarity
from torch import Tensor, nn

from sam_toolkit.errors import BenchError
from sam_toolkit.methods.lime import LimeParams
from sam_toolkit.methods.sliding_patch import SlidingPatchParams
from sam_toolkit.methods.smoothgrad import SmoothGradParams
from sam_toolkit.rng import Rng

Layout = Literal["contiguous", "channels_last"]
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass(frozen=True)
class Way:
    """By whom rows are made, how they lie in memory, and how many go through the network at once."""

    library: Literal["captum", "loop"]
    layout: Layout
    batch: int

    def __str__(self) -> str:
        return f"{self.library}, {self.layout}, batches of {self.batch}"


@dataclass(frozen=True)
class Seen:
    """The photograph `[3, H, W]` in [0, 1] with what is asked of it, and where its random draws are."""

    image: Tensor
    mean: Tensor
    std: Tensor
    target: int
    name: str
    seed: int

    def inputs(self, images: Tensor) -> Tensor:
        """Return images as the network takes them."""
        return (images - self.mean) / self.std

    def draws(self, *address: str | int) -> Rng:
        """Return where the draws of a method are."""
        return Rng(self.seed).child(*address)


class Network:
    """A network as a script calls it: in one layout, with its rows counted."""

    def __init__(self, module: nn.Module, layout: Layout) -> None:
        """Put the weights in the layout too."""
        self._module = module.to(memory_format=FORMATS[layout])
        self._format = FORMATS[layout]
        self.forward = self.backward = 0

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return logits `[N, K]`."""
        self.forward += len(inputs)
        self.backward += len(inputs) * inputs.requires_grad
        found: Tensor = self._module(inputs.contiguous(memory_format=self._format))
        return found

    def probabilities(self, inputs: Tensor) -> Tensor:
        """Return the probabilities `[N, K]`, without gradients."""
        with torch.no_grad():
            return self(inputs).softmax(dim=1)


def smoothgrad(net: Network, seen: Seen, setting: SmoothGradParams, way: Way) -> Tensor:
    """Return the mean gradient over noisy copies, `[H, W]`."""
    inputs = seen.inputs(seen.image)[None]
    deviation = float(setting.spread * (inputs.max() - inputs.min()))
    stream = seen.draws("smoothgrad", setting.seed)
    if way.library == "captum":
        captum = library("captum.attr")
        method = captum.NoiseTunnel(captum.Saliency(net))
        batch = {"nt_samples": setting.samples, "nt_samples_batch_size": min(way.batch, setting.samples)}
        with _noise(stream, seen.name):
            found: Tensor = method.attribute(inputs, stdevs=deviation, target=seen.target, abs=False, **batch)
        return found.detach()[0].mean(dim=0)
    total = torch.zeros_like(inputs[0])
    for numbers in torch.arange(setting.samples).split(way.batch):
        noise = torch.stack([stream.normal(seen.name, int(number), inputs.shape[1:]) for number in numbers])
        noisy = (inputs + deviation * noise).requires_grad_()
        total += torch.autograd.grad(net(noisy)[:, seen.target].sum(), noisy)[0].sum(dim=0)
    return (total / setting.samples).mean(dim=0)


@contextmanager
def _noise(stream: Rng, name: str) -> Iterator[None]:
    """Let captum draw its noise where ours does."""
    drawn = 0

    def normal(_: float, deviations: Tensor) -> Tensor:
        nonlocal drawn
        draws = [stream.normal(name, drawn + row, deviations.shape[1:]) for row in range(len(deviations))]
        drawn += len(draws)
        return torch.stack(draws).mul_(deviations)

    with patch("torch.normal", normal):
        yield


def sliding_patch(net: Network, seen: Seen, setting: SlidingPatchParams, way: Way) -> Tensor:
    """Return the mean drop of the probability over the patches that cover a pixel, `[H, W]`."""
    inputs = seen.inputs(seen.image)[None]
    if way.library == "captum" and setting.stride <= setting.patch:  # captum takes no others
        shape, strides = (3, setting.patch, setting.patch), (3, setting.stride, setting.stride)
        method = library("captum.attr").Occlusion(net.probabilities)
        more = {"target": seen.target, "perturbations_per_eval": way.batch}
        found: Tensor = method.attribute(inputs, shape, strides, baselines=0.0, **more)
        return found[0, 0].detach()
    side, patch_ = seen.image.shape[-1], setting.patch
    starts = [*range(0, side - patch_, setting.stride), side - patch_]
    places = [(y, x) for y in starts for x in starts]
    whole, total, count = net.probabilities(inputs)[0, seen.target], torch.zeros(side, side), torch.zeros(side, side)
    for first in range(0, len(places), way.batch):
        some = places[first : first + way.batch]
        hidden = inputs.repeat(len(some), 1, 1, 1)
        for row, (y, x) in zip(hidden, some, strict=True):
            row[:, y : y + patch_, x : x + patch_] = 0
        for drop, (y, x) in zip(whole - net.probabilities(hidden)[:, seen.target], some, strict=True):
            total[y : y + patch_, x : x + patch_] += drop
            count[y : y + patch_, x : x + patch_] += 1
    return total / count.clamp(min=1)


def lime(net: Network, seen: Seen, setting: LimeParams, way: Way) -> Tensor:
    """Return the coefficient of each superpixel at its pixels, `[H, W]`."""
    module = library("lime.lime_image")
    options = {"n_segments": setting.segments, "compactness": setting.compactness, "sigma": setting.sigma}
    cutter = module.SegmentationAlgorithm("slic", start_label=0, **options)
    stream = seen.draws("lime", "masks", setting.seed)

    def classify(images: np.ndarray) -> np.ndarray:
        return net.probabilities(seen.inputs(torch.from_numpy(images).permute(0, 3, 1, 2))).numpy()

    def randint(low: int, high: int, size: int) -> np.ndarray:
        width = [size // setting.samples]
        kept = [stream.uniform(seen.name, draw, width) < setting.keep for draw in range(setting.samples)]
        return torch.cat(kept).long().numpy()

    explainer = module.LimeImageExplainer(kernel_width=setting.kernel_width)
    explainer.random_state = SimpleNamespace(randint=randint)
    pixels = seen.image.permute(1, 2, 0).contiguous().numpy()
    with redirect_stderr(StringIO()):  # its bar of progress
        explanation = explainer.explain_instance(
            pixels,
            classify,
            labels=(seen.target,),
            top_labels=None,
            hide_color=0,
            num_samples=setting.samples,
            batch_size=way.batch,
            segmentation_fn=cutter,
            random_seed=0,
        )
    weights = dict(explanation.local_exp[seen.target])
    table = torch.tensor([weights[label] for label in range(len(weights))])
    return table[torch.from_numpy(explanation.segments)].float()


def similarities(a: Tensor, b: Tensor, data_range: float) -> list[float]:
    """Return the SSIM, the HOG similarity and the rank correlation of two maps."""
    first, second = a.double().numpy(), b.double().numpy()
    side = min(16, min(a.shape) // 4)
    cells = {"pixels_per_cell": (side, side)}
    return [
        float(structural_similarity(first, second, win_size=5, data_range=data_range)),
        float(pearsonr(hog(first, **cells), hog(second, **cells)).statistic),
        float(spearmanr(first, second, axis=None).statistic),
    ]


def library(name: str) -> Any:
    """Return an imported module; raises BenchError where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise BenchError(f"bench: the script needs {name} ({error}): pip install 'sam-toolkit[bench]'") from error
