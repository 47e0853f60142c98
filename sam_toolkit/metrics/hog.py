"""Similarity of histograms of oriented gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sam_toolkit.component import PairMetric, PairScores
from sam_toolkit.errors import ComponentError
from sam_toolkit.metrics.correlation import correlations, unit_vectors
from sam_toolkit.types import Params, field

_CELLS = 3
_ORIENTATIONS = 9
_HALF_TURN = 180
_CLIP, _EPSILON = 0.2, 1e-5
"""Of L2-Hys: the largest value of a block, and what keeps a flat block from a division by 0."""


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
    version = "2"
    reference = "Dalal and Triggs, Histograms of Oriented Gradients for Human Detection, CVPR 2005"

    def prepare(self, maps: Tensor, settings: Sequence[HOGParams]) -> Tensor:
        """Return the descriptors of maps `[K, N, H, W]` as unit vectors `[K, N, D]`."""
        height, width = maps.shape[-2:]
        side = settings[0].side((height, width))
        cells = _cells(height // side, width // side, side)
        found = [_descriptor(values, cells, side) for values in maps.cpu().double().flatten(0, 1)]
        return unit_vectors(torch.stack(found).view(*maps.shape[:2], -1))

    def compare(self, prepared: Tensor, pairs: Tensor, settings: Sequence[HOGParams]) -> PairScores:
        """Return the correlation of each pair's descriptors as values `[S, P, N]`."""
        return PairScores(correlations(prepared, pairs).expand(len(settings), -1, -1))


def _cells(rows: int, columns: int, side: int) -> Tensor:
    """Return the number of the cell of each pixel, `[rows * side, columns * side]`."""
    numbers = torch.arange(rows * columns, dtype=torch.int32).view(rows, columns)
    return numbers.repeat_interleave(side, 0).repeat_interleave(side, 1)


def _descriptor(values: Tensor, cells: Tensor, side: int) -> Tensor:
    """Return the descriptor `[D]` of a map `[H, W]`, float64: scikit-image's, whose sums are float32."""
    height, width = cells.shape
    down, right = torch.zeros_like(values), torch.zeros_like(values)
    torch.sub(values[2:], values[:-2], out=down[1:-1])
    torch.sub(values[:, 2:], values[:, :-2], out=right[:, 1:-1])
    down, right = down[:height, :width], right[:height, :width]
    lengths = (down * down).addcmul_(right, right).sqrt_()
    angles = torch.atan2(down, right).rad2deg_().remainder_(_HALF_TURN).nan_to_num_(nan=0.0)  # its length stays NaN
    # An angle that is rounded up to the half turn is in no orientation, as in scikit-image: one more place takes it.
    places = _ORIENTATIONS + 1
    index = angles.mul_(_ORIENTATIONS / _HALF_TURN).int() + places * cells
    shape = (height // side, width // side, places)
    sums = torch.bincount(index.flatten(), lengths.flatten(), minlength=math.prod(shape)).view(shape)
    return _blocks(sums[..., :_ORIENTATIONS] / side**2).flatten()


def _blocks(histograms: Tensor) -> Tensor:
    """Return normalised blocks `[rows, columns, values]` of the histograms `[rows, columns, orientations]` of cells."""
    blocks = histograms.unfold(0, _CELLS, 1).unfold(1, _CELLS, 1).permute(0, 1, 3, 4, 2).flatten(2)
    return _of_length_one(_of_length_one(blocks).clamp_(max=_CLIP))


def _of_length_one(blocks: Tensor) -> Tensor:
    return blocks / (blocks.square().sum(dim=-1, keepdim=True) + _EPSILON**2).sqrt()
