"""Similarity of histograms of oriented gradients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from skimage.feature import hog
from torch import Tensor

from sam_toolkit.component import PairMetric, PairScores
from sam_toolkit.errors import ComponentError
from sam_toolkit.metrics.correlation import correlations, unit_vectors
from sam_toolkit.types import Params, field

_CELLS = 3
_ORIENTATIONS = 9


class HOGParams(Params):
    """Hyperparameters of the HOG similarity."""

    cell: int | None = field(
        None, ge=2, help="side of a cell in pixels; if left out, a quarter of the shorter side, from 2 to 16"
    )

    def side(self, size: tuple[int, int]) -> int:
        """Return the side of a cell for maps of `size`; ComponentError where no block of 3 x 3 cells fits."""
        shorter = min(size)
        side = self.cell or min(16, max(2, shorter // 4))
        if shorter < _CELLS * side:
            advice = "Choose a smaller cell." if side > 2 else "Compare larger maps."
            raise ComponentError(
                f"HOG: a block of {_CELLS} x {_CELLS} cells of {side} pixels must fit in the map; "
                f"got maps of {size[0]} x {size[1]}. {advice}"
            )
        return side


class HOG(PairMetric[HOGParams]):
    """The Pearson correlation of two maps' HOG descriptors; NaN where one is constant, as a flat map's is.

    Descriptors have 9 orientations and blocks of 3 x 3 cells with L2-Hys normalisation. Unrelated maps reach
    0.09 to 0.16, not 0: read it beside random maps.
    """

    name = "hog"
    reference = "Dalal and Triggs, Histograms of Oriented Gradients for Human Detection, CVPR 2005"

    def prepare(self, maps: Tensor, settings: Sequence[HOGParams]) -> Tensor:
        """Return the descriptors of maps `[K, N, H, W]` as unit vectors `[K, N, D]`."""
        height, width = maps.shape[-2:]
        side = settings[0].side((height, width))
        found = [_descriptor(values, side) for values in maps.cpu().double().flatten(0, 1).numpy()]
        return unit_vectors(torch.from_numpy(np.stack(found)).view(*maps.shape[:2], -1))

    def compare(self, prepared: Tensor, pairs: Tensor, settings: Sequence[HOGParams]) -> PairScores:
        """Return the correlation of each pair's descriptors as values `[S, P, N]`."""
        return PairScores(correlations(prepared, pairs).expand(len(settings), -1, -1))


def _descriptor(values: np.ndarray, side: int) -> np.ndarray:
    descriptor: np.ndarray = hog(
        values,
        _ORIENTATIONS,
        pixels_per_cell=(side, side),
        cells_per_block=(_CELLS, _CELLS),
        block_norm="L2-Hys",
    )
    return descriptor
