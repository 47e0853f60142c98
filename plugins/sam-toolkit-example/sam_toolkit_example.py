"""An example plugin: a method that looks at no network, as a control, and a similarity of two maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, sobel
from torch import Tensor

from sam_toolkit import Batch, MapFacts, Method, Model, PairMetric, PairScores, Params, Rng, field, hookimpl


class EdgeDetectorParams(Params):
    """Hyperparameters of the edge detector."""

    sigma: float = field(1.0, ge=0, help="standard deviation in pixels of the Gaussian that smooths the image first")


class EdgeDetector(Method[EdgeDetectorParams]):
    """The strength of the image's edges, whatever the network: a control for attribution methods.

    A method whose maps resemble these may show the image rather than what the network made of it.
    """

    name = "edge-detector"
    reference = "Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018, arXiv:1810.03292"

    def facts(self, params: EdgeDetectorParams) -> MapFacts:
        """Return that maps are magnitudes."""
        return MapFacts(signed=False)

    def rows(self, settings: Sequence[EdgeDetectorParams], shape: tuple[int, int, int]) -> int:
        """Return 0: the network is not asked."""
        return 0

    def shares(self, params: EdgeDetectorParams) -> frozenset[str]:
        """Return sigma: the image becomes grey once."""
        return frozenset({"sigma"})

    def maps(self, model: Model, batch: Batch, settings: Sequence[EdgeDetectorParams], rng: Rng) -> Tensor:
        """Return the magnitudes `[S, N, H, W]` of the Sobel gradient of the grey images."""
        grey = batch.images.mean(dim=1).double().cpu().numpy()
        maps = [np.stack([_edges(image, setting.sigma) for image in grey]) for setting in settings]
        return torch.from_numpy(np.stack(maps)).float()


def _edges(grey: np.ndarray, sigma: float) -> np.ndarray:
    """Return the edge magnitudes of a grey image `[H, W]`."""
    smooth = gaussian_filter(grey, sigma, mode="nearest")
    magnitudes: np.ndarray = np.hypot(sobel(smooth, axis=0, mode="nearest"), sobel(smooth, axis=1, mode="nearest"))
    return magnitudes


class CosineParams(Params):
    """Hyperparameters of the cosine similarity."""

    absolute: bool = field(False, help="whether magnitudes are compared, so that the sign of evidence does not count")


class Cosine(PairMetric[CosineParams]):
    """The cosine of the angle between two maps as vectors of pixels; NaN where a map is zero everywhere."""

    name = "cosine"
    reference = "Salton and McGill, Introduction to Modern Information Retrieval, 1983"

    def shares(self, params: CosineParams) -> frozenset[str]:
        """Return `absolute`: maps are divided by their length once for both values."""
        return frozenset({"absolute"})

    def prepare(self, maps: Tensor, settings: Sequence[CosineParams]) -> Tensor:
        """Return maps `[K, N, H, W]` as unit vectors `[K, N, H * W]`."""
        vectors = maps.double().flatten(2)
        lengths: Tensor = vectors.norm(dim=-1, keepdim=True)
        return vectors / lengths

    def compare(self, prepared: Tensor, pairs: Tensor, settings: Sequence[CosineParams]) -> PairScores:
        """Return the cosine of each pair as values `[S, P, N]`."""
        first, second = prepared[pairs[:, 0]], prepared[pairs[:, 1]]
        products = [first.abs() * second.abs() if setting.absolute else first * second for setting in settings]
        return PairScores(torch.stack([product.sum(dim=-1) for product in products]))


@hookimpl
def sam_toolkit_components() -> list[type]:
    """Return what this plugin adds."""
    return [EdgeDetector, Cosine]
