"""What operators demand of their arguments, each rule with the value that broke it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sam_toolkit.errors import OpError


def require(holds: bool, op: str, rule: str, got: object) -> None:
    """Raise an OpError that names the operator, the rule and what it got, unless the rule holds."""
    if not holds:
        raise OpError(f"ops.{op}: {rule}; got {got}.")


def describe(tensor: Tensor) -> str:
    """Return dtype, shape and device as a reader of the error would write them."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)} on {tensor.device}"


def floating(op: str, name: str, shape: str, tensor: Tensor, *dimensions: int) -> None:
    """Require a floating-point tensor with one of these numbers of dimensions; `shape` names them."""
    fits = tensor.is_floating_point() and tensor.dim() in dimensions
    require(fits, op, f"{name} must be a floating-point tensor {shape}", describe(tensor))


def table(op: str, name: str, shape: str, columns: int, rows: Tensor) -> Tensor:
    """Return an int64 table on the CPU, where kernels read it; `shape` tells the user what belongs there."""
    fits = rows.dtype == torch.int64 and rows.dim() == 2 and rows.shape[1] == columns
    require(fits, op, f"{name} must be int64 {shape}", describe(rows))
    return rows.detach().cpu().contiguous()


def _all_rows(op: str, name: str, rule: str, rows: Tensor, holds: NDArray[np.bool_], among: str) -> None:
    if not holds.all():
        first = int(holds.argmin())
        require(False, op, rule, f"{name}[{first}] = {tuple(rows[first].tolist())} for {among}")


def boxes(op: str, rows: Tensor, size: tuple[int, int, int]) -> Tensor:
    """Return the boxes on the CPU; each must be non-empty and inside one of the images, `size` (N, H, W)."""
    rows = table(op, "boxes", "[P, 5] of (image, y0, x0, y1, x1)", 5, rows)
    images, height, width = size
    image, y0, x0, y1, x1 = rows.numpy().T  # numpy's calls cost a tenth of torch's on tables as small as most are
    inside = (image >= 0) & (image < images) & (y0 >= 0) & (y0 < y1) & (y1 <= height)
    inside &= (x0 >= 0) & (x0 < x1) & (x1 <= width)
    rule = "each box (image, y0, x0, y1, x1), ends exclusive, must be non-empty and inside its image"
    _all_rows(op, "boxes", rule, rows, inside, f"{images} images of {height} x {width}")
    return rows


def sides(op: str, rows: Tensor, size: tuple[int, int]) -> None:
    """Require each box to be `size` (height, width) large."""
    boxes = rows.numpy()
    fits: NDArray[np.bool_] = (boxes[:, 3:] - boxes[:, 1:3] == size).all(axis=1)
    _all_rows(op, "boxes", "each box must be as large as the patches", rows, fits, f"patches of {size[0]} x {size[1]}")


def pairs(op: str, rows: Tensor, count: int) -> Tensor:
    """Return the pairs on the CPU; each must name two of `count` maps."""
    rows = table(op, "pairs", "[P, 2]", 2, rows)
    numbers = rows.numpy()
    known: NDArray[np.bool_] = np.all((numbers >= 0) & (numbers < count), axis=1)
    _all_rows(op, "pairs", "each pair must index the maps, from 0", rows, known, f"{count} maps")
    return rows
