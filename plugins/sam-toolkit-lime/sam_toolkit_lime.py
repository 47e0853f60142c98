"""The library lime itself, its explainer of images, as a method."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import Any, Literal

import numpy as np
import torch
from lime.lime_image import LimeImageExplainer
from lime.wrappers.scikit_image import SegmentationAlgorithm
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from torch import Tensor

from sam_toolkit import Batch, ComponentError, MapFacts, Method, Model, Params, Rng, field, hookimpl

SAM_TOOLKIT_INTERFACE = 1
_ALL = 100_000
"""More superpixels than there are: lime's own default for the number of features."""


class LimeLibraryParams(Params):
    """Hyperparameters of lime's explainer of images, with lime's defaults."""

    num_samples: int = field(1000, ge=2, help="copies of the image that are fitted: the first whole, the others hidden")
    segmentation: Literal["quickshift", "slic", "felzenszwalb"] = field(
        "quickshift", help="how the image is cut into superpixels"
    )
    kernel_size: float = field(4.0, gt=0, help="of quickshift: width of the kernel that measures density, in pixels")
    max_dist: float = field(200.0, gt=0, help="of quickshift: longest step within a superpixel; more gives fewer")
    ratio: float = field(0.2, ge=0, le=1, help="of quickshift: how much likeness of colour counts against nearness")
    n_segments: int = field(50, ge=1, help="of slic: how many superpixels to aim at")
    compactness: float = field(10.0, gt=0, help="of slic: how much nearness counts against likeness of colour")
    scale: float = field(100.0, gt=0, help="of felzenszwalb: more gives larger superpixels")
    hide_color: float | None = field(None, ge=0, le=1, help="level that hides; none: each superpixel's mean colour")
    kernel_width: float = field(0.25, gt=0, help="distance at which a copy's weight has fallen to 0.61")
    distance_metric: Literal["cosine", "euclidean"] = field("cosine", help="distance of copies from the whole image")
    num_features: int = field(_ALL, ge=1, help="superpixels that the linear model may use; the others get 0")
    feature_selection: Literal["auto", "forward_selection", "lasso_path", "highest_weights", "none"] = field(
        "auto", help="how those are chosen"
    )
    alpha: float = field(1.0, ge=0, help="penalty of the ridge regression")
    seed: int = field(0, ge=0, help="seed of the superpixels' ties and of what is hidden")

    def cut(self, seed: int) -> SegmentationAlgorithm:
        """Return scikit-image's algorithm in lime's wrapper."""
        match self.segmentation:
            case "quickshift":
                own: dict[str, Any] = {"kernel_size": self.kernel_size, "max_dist": self.max_dist, "ratio": self.ratio}
                own["random_seed"] = seed  # as lime says it; dropped where scikit-image calls it otherwise
            case "slic":
                own = {"n_segments": self.n_segments, "compactness": self.compactness, "start_label": 0}
            case "felzenszwalb":
                own = {"scale": self.scale}
        return SegmentationAlgorithm(self.segmentation, **own)


class LimeLibrary(Method[LimeLibraryParams]):
    """The coefficients that lime's LimeImageExplainer gives to the superpixels, in lime's own order of draws.

    lime sees the image in double precision; its seed draws first that of the superpixels, then what is hidden.
    """

    name = "lime-library"
    reference = "Ribeiro, Singh and Guestrin, Why Should I Trust You?, KDD 2016, arXiv:1602.04938"

    def facts(self, params: LimeLibraryParams) -> MapFacts:
        """Return that maps are signed."""
        return MapFacts(signed=True)

    def rows(self, settings: Sequence[LimeLibraryParams], shape: tuple[int, int, int]) -> int:
        """Return the number of samples."""
        return sum(setting.num_samples for setting in settings)

    def maps(self, model: Model, batch: Batch, settings: Sequence[LimeLibraryParams], rng: Rng) -> Tensor:
        """Return maps `[S, N, H, W]`, each superpixel painted with its coefficient."""
        if batch.images.shape[1] != 3:
            raise ComponentError(f"LimeLibrary: lime takes images of 3 channels; got {batch.images.shape[1]}.")
        maps = torch.zeros(len(settings), len(batch), *batch.images.shape[2:])
        for s, setting in enumerate(settings):
            for n, (image, target, name) in enumerate(zip(batch.images, batch.targets, batch.ids, strict=True)):
                maps[s, n] = _map(model, image, int(target), setting, rng.child(setting.seed).generator(name))
        return maps.to(batch.images.device)


def _map(model: Model, image: Tensor, target: int, setting: LimeLibraryParams, drawn: torch.Generator) -> Tensor:
    """Return the map `[H, W]` of one image `[C, H, W]`."""
    state = np.random.RandomState(int(torch.randint(2**31, (), generator=drawn)))
    explainer = LimeImageExplainer(
        setting.kernel_width, feature_selection=setting.feature_selection, random_state=state
    )

    def classify(copies: NDArray[np.float64]) -> NDArray[np.float32]:
        images = torch.from_numpy(copies).permute(0, 3, 1, 2).to(image)
        return model.logits(model.inputs(images)).softmax(dim=1).cpu().numpy()

    with _quiet():
        seed = state.randint(0, high=1000)  # where lime draws the seed of its own segmentation
        found = explainer.explain_instance(
            image.permute(1, 2, 0).double().cpu().numpy(),
            classify,
            labels=(target,),
            hide_color=setting.hide_color,
            top_labels=None,
            num_features=setting.num_features,
            num_samples=setting.num_samples,
            batch_size=model.chunk,
            segmentation_fn=setting.cut(seed),
            distance_metric=setting.distance_metric,
            model_regressor=Ridge(alpha=setting.alpha, fit_intercept=True, random_state=state),
            random_seed=seed,
        )
    coefficients = np.zeros(found.segments.max() + 1)
    for superpixel, weight in found.local_exp[target]:
        coefficients[superpixel] = weight
    return torch.from_numpy(coefficients[found.segments]).float()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep lime's bar of progress to itself, and NumPy's global generator where it stands."""
    before = np.random.get_state()
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        np.random.set_state(before)


@hookimpl
def sam_toolkit_components() -> list[type[Method[Any]]]:
    """Return lime."""
    return [LimeLibrary]
