"""SSIM at each window: against scikit-image's full map, its own mean, and its gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from sam_toolkit import ops
from sam_toolkit.errors import OpError

PAIRS = torch.tensor([[0, 1], [2, 0], [1, 1]])
WINDOWS: list[dict[str, Any]] = [
    *({"window": side} for side in (3, 5, 7, 9, 11, 13)),
    {"gaussian": True},
    {"gaussian": 2},
]


def maps_of(shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(shape[-1]), dtype=torch.float64) * 2 - 1).to(
        dtype
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_it_is_the_middle_of_scikit_image_s_map(
    backend: str, window: dict[str, Any], dtype: torch.dtype, tolerance: float
) -> None:
    maps = maps_of((3, 31, 45), dtype)
    how: dict[str, Any] = {"win_size": window["window"]} if "window" in window else {"gaussian_weights": True}
    if "gaussian" in window:
        how["sigma"] = 1.5 if window["gaussian"] is True else window["gaussian"]
    found = ops.ssim_map(maps, PAIRS, **window)
    margin = (31 - found.shape[1]) // 2
    for (a, b), own in zip(PAIRS.tolist(), found, strict=True):
        arrays = maps[a].double().numpy(), maps[b].double().numpy()
        _, whole = structural_similarity(*arrays, data_range=2, full=True, **how)  # type: ignore[no-untyped-call]
        inner = whole[margin:-margin, margin:-margin]
        np.testing.assert_allclose(own.double().numpy(), inner, rtol=0, atol=tolerance)


@pytest.mark.parametrize("shape", [(3, 5, 5), (3, 40, 7), (2, 3, 17, 600)])
def test_its_mean_is_ssim(backend: str, shape: tuple[int, ...]) -> None:
    maps = maps_of(shape)
    means = ops.ssim_map(maps, PAIRS).mean(dim=(-2, -1))
    torch.testing.assert_close(means, ops.ssim(maps, PAIRS), rtol=0, atol=1e-13)


def test_gradients_are_those_of_finite_differences(backend: str) -> None:
    maps = maps_of((3, 6, 7)).requires_grad_()
    assert torch.autograd.gradcheck(lambda m: ops.ssim_map(m, PAIRS[:2], 3), maps)


def test_the_compiled_operator_meets_the_rules_of_pytorch(compiled: None) -> None:
    arguments = (maps_of((2, 3, 9, 8)).requires_grad_(), PAIRS, [0.2] * 5, 2.0, True)
    torch.library.opcheck(torch.ops.sam_toolkit.ssim_map.default, arguments)


def test_no_pairs_give_no_maps(backend: str) -> None:
    assert ops.ssim_map(maps_of((3, 9, 8)), PAIRS[:0]).shape == (0, 5, 4)


def test_an_error_names_the_operator(backend: str) -> None:
    with pytest.raises(OpError, match=r"ops\.ssim_map: window must be odd and at least 3; got 4"):
        ops.ssim_map(maps_of((3, 9, 8)), PAIRS, 4)
