"""The explainers of shap for images as methods."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import numpy as np
import shap
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sam_toolkit import (
    Batch,
    Channels,
    ComponentError,
    MapFacts,
    Method,
    Model,
    Params,
    Rng,
    Rows,
    field,
    hookimpl,
    reduce_channels,
)

SAM_TOOLKIT_INTERFACE = 1
_LUNDBERG = "Lundberg and Lee, A Unified Approach to Interpreting Model Predictions, NeurIPS 2017, arXiv:1705.07874"
_AT_ONCE = 10
"""Masks that a partition is refined by at once, shap's default: another number gives another partition."""


class ShapParams(Params):
    """What every explainer has."""

    score: Literal["logit", "probability"] = field("logit", help="what of the target is explained")


class DrawnParams(ShapParams):
    """What an explainer that draws has besides."""

    seed: int = field(0, ge=0, help="seed of what is drawn")


class GradientParams(DrawnParams):
    """Of expected gradients."""

    nsamples: int = field(200, ge=1, help="random points between the image and the background")
    background: int = field(8, ge=1, help="images of uniform noise that stand for absence")
    local_smoothing: float = field(0.0, ge=0, help="standard deviation of noise on the network's inputs")
    channels: Channels = field("mean", help="how channels become one number, signed or absolute")


class PartitionParams(ShapParams):
    """Of Owen values on a hierarchy of rectangles."""

    max_evals: int = field(500, ge=4, help="masked copies of the image")
    mask_value: float = field(0.0, help="what hides, at the network's normalised inputs")
    channels: Channels = field("mean", help="how channels become one number, signed or absolute")


class KernelParams(DrawnParams):
    """Of Shapley values of cells by weighted regression."""

    nsamples: int = field(512, ge=2, help="masked copies of the image")
    cells: int = field(8, ge=2, help="cells along a side of the grid whose cells are the features")
    mask_value: float = field(0.0, help="what hides, at the network's normalised inputs")
    features: int = field(0, ge=0, help="cells that a lasso leaves, the others get 0; 0: all, without a lasso")


P = TypeVar("P", bound=Params)


class ShapMethod(Method[P]):
    """An explainer of shap, run on images one by one, each from a seed of its own."""

    def facts(self, params: Any) -> MapFacts:
        """Return that maps are signed, unless channels are reduced to magnitudes."""
        return MapFacts(signed=not getattr(params, "channels", "").startswith("abs-"))

    def rows(self, settings: Sequence[Any], shape: tuple[int, int, int]) -> int:
        """Return the rows of all settings."""
        return sum(self.cost(setting, shape) for setting in settings)

    def maps(self, model: Model, batch: Batch, settings: Sequence[Any], rng: Rng) -> Tensor:
        """Return maps `[S, N, H, W]`."""
        inputs, found = model.inputs(batch.images), []
        for setting in settings:
            for image, target, name in zip(inputs, batch.targets.tolist(), batch.ids, strict=True):
                with _drawing(_seed(setting, rng, name)):
                    found.append(self.map(model, image, target, setting))
        return torch.stack(found).reshape(len(settings), len(batch), *batch.images.shape[2:]).to(batch.images.device)

    @abstractmethod
    def cost(self, params: Any, shape: tuple[int, int, int]) -> int:
        """Return the network rows that a setting costs an image of `shape` (C, H, W)."""

    @abstractmethod
    def map(self, model: Model, image: Tensor, target: int, setting: Any) -> Tensor:
        """Return the map `[H, W]` of one input `[C, H, W]`."""


class ShapGradient(ShapMethod[GradientParams]):
    """Expected gradients: gradient times difference at random points between the image and images of noise."""

    name = "shap-gradient"
    reference = "Erion et al., Improving Performance of Deep Learning Models with Expected Gradients, 2021"
    gradients = True

    def cost(self, params: Any, shape: tuple[int, int, int]) -> int:
        """Return a row a sample, and one a background image."""
        return int(params.nsamples + params.background)

    def map(self, model: Model, image: Tensor, target: int, setting: Any) -> Tensor:
        """Return shap's values, reduced over channels."""
        noise = np.random.uniform(size=(setting.background, *image.shape)).astype(np.float32)
        background = model.inputs(torch.from_numpy(noise))
        seed = np.random.randint(2**31)

        def explained() -> NDArray[np.float64]:
            with torch.enable_grad():
                network = _Target(model, target, setting.score)
                smoothing = setting.local_smoothing
                explainer = shap.GradientExplainer(network, background, model.chunk, local_smoothing=smoothing)
                return np.asarray(explainer.shap_values(image[None], nsamples=setting.nsamples, rseed=seed))

        found = None
        while found is None:
            found = model.attempt(explained, max(model.chunk, setting.background))
        return reduce_channels(torch.from_numpy(found[0, ..., 0]), setting.channels)


class ShapPartition(ShapMethod[PartitionParams]):
    """Owen values of a hierarchy of rectangles, refined where they matter most; shap draws only to break ties."""

    name = "shap-partition"
    reference = _LUNDBERG

    def cost(self, params: Any, shape: tuple[int, int, int]) -> int:
        """Return the number of copies, which go in pairs; each value of the image has two at most."""
        return int(2 * min(-(-params.max_evals // 2), shape[0] * shape[1] * shape[2]))

    def map(self, model: Model, image: Tensor, target: int, setting: Any) -> Tensor:
        """Return shap's values, reduced over channels."""
        pixels = image.permute(1, 2, 0).cpu().numpy()

        def evaluate(copies: NDArray[np.float32]) -> NDArray[np.float32]:
            return _scores(model, torch.from_numpy(np.asarray(copies)).permute(0, 3, 1, 2).to(image), target, setting)

        explainer = shap.PartitionExplainer(evaluate, shap.maskers.Image(setting.mask_value, pixels.shape))
        found = explainer(pixels[None], max_evals=setting.max_evals, batch_size=_AT_ONCE, silent=True)
        return reduce_channels(
            torch.from_numpy(found.values[0]).reshape(pixels.shape).permute(2, 0, 1), setting.channels
        )


class ShapKernel(ShapMethod[KernelParams]):
    """Shapley values of a grid's cells by weighted linear regression."""

    name = "shap-kernel"
    reference = _LUNDBERG

    def cost(self, params: Any, shape: tuple[int, int, int]) -> int:
        """Return the number of copies, of which there are so many different ones, and both ends."""
        count = min(params.cells, shape[1]) * min(params.cells, shape[2])
        return int(2 + min(params.nsamples, 2**count - 2))

    def map(self, model: Model, image: Tensor, target: int, setting: Any) -> Tensor:
        """Return shap's value of each pixel's cell; raises ComponentError where there is one cell alone."""
        height, width = image.shape[1:]
        down, across = (torch.arange(n) * min(setting.cells, n) // n for n in (height, width))
        cells = down[:, None] * min(setting.cells, width) + across
        count = int(cells.max()) + 1
        if count < 2:
            raise ComponentError("ShapKernel: an image of one pixel has no cells to compare.")

        def evaluate(kept: NDArray[np.float64]) -> NDArray[np.float32]:
            shown = torch.from_numpy(kept > 0)[:, cells][:, None].to(image.device)
            hidden = torch.full_like(image, setting.mask_value)
            return _scores(model, torch.where(shown, image, hidden), target, setting)

        explainer = shap.KernelExplainer(evaluate, np.zeros((1, count)))
        chosen = f"num_features({setting.features})" if setting.features else False
        whole = np.ones((1, count))
        found = explainer.shap_values(whole, nsamples=setting.nsamples, l1_reg=chosen, silent=True, gc_collect=False)
        return torch.from_numpy(np.asarray(found)[0])[cells].float()


class _Target(nn.Module):
    """A model's network as shap differentiates it: `[N, 1]` of the target, rows counted forward and backward."""

    def __init__(self, model: Model, target: int, score: str) -> None:
        super().__init__()
        self.network = model.module
        self._model, self._target, self._score = model, target, score

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the target's score of inputs `[N, C, H, W]`; raises ModelError where a logit is not finite."""
        logits = self._model.accepted(self.network(self._model.clamped(inputs.view_as(inputs))))
        if logits.requires_grad:
            logits.register_hook(self._count)
        values = logits if self._score == "logit" else logits.softmax(dim=1)
        return values[:, self._target : self._target + 1]

    def _count(self, gradient: Tensor) -> None:
        self._model.counted += Rows(0, len(gradient))


def _scores(model: Model, inputs: Tensor, target: int, setting: Any) -> NDArray[np.float32]:
    """Return the target's score `[N]` of inputs `[N, C, H, W]`."""
    targets = torch.full((len(inputs),), target)
    found: NDArray[np.float32] = model.scores(lambda a, b: inputs[a:b], targets, setting.score).cpu().numpy()
    return found


def _seed(setting: Any, rng: Rng, image_id: str) -> int:
    """Return where an image's draws start: at the same place every time where they are for ties alone."""
    if not isinstance(setting, DrawnParams):
        return 0
    return int(torch.randint(2**31, (), generator=rng.child(setting.seed).generator(image_id)))


@contextmanager
def _drawing(seed: int) -> Iterator[None]:
    """Let NumPy's global generator, which shap draws from, draw what belongs to an image; then put it back."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)


@hookimpl
def sam_toolkit_components() -> list[type[Method[Any]]]:
    """Return the explainers."""
    return [ShapGradient, ShapPartition, ShapKernel]
