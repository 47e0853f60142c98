"""The kernels of SSIM and of its gradient in the PTX that the compiler writes, interpreted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cuda_on_cpu import nvcc
from cuda_on_cpu.ptx.kernels import compiled
from cuda_on_cpu.ptx.machine import launch
from cuda_on_cpu.ptx.memory import Buffer

from sam_toolkit.ops import reference

pytestmark = pytest.mark.skipif(nvcc.toolkit() is None, reason="there is no CUDA toolkit to compile with")
CUDA = nvcc.SOURCES / "cuda"
BLOCK, TILE_ROWS = (128,), 16
PAIRS = np.array([[0, 1], [0, 2], [1, 1]])
WINDOWS = {5: [0.2] * 5, 11: (np.full(11, 1 / 11)).tolist(), 3: [0.25, 0.5, 0.25]}
UNROLLED = (5, 7, 11)


def prepared(maps, taps):
    """Return the kernels' description of maps [B, K, H, W] in float32, as the first two kernels leave it."""
    images, count, height, width = maps.shape
    windows = (images * count, height - len(taps) + 1, width - len(taps) + 1)
    few = [np.float64(tap) for tap in (taps + [0.0] * 11)[:11]]
    described = (
        Buffer.of("values", maps.astype(np.float32)),
        *map(np.int64, (images, count)),
        *map(np.int32, (height, width)),
        (np.int32(len(taps)), *few, Buffer.of("taps", np.array(taps))),
        np.float64(1 / 2),
        np.float64(len(taps) ** 2 / (len(taps) ** 2 - 1) / 4),
        Buffer.empty("offsets", (images * count,), np.float64),
        Buffer.empty("means", windows, np.float64),
        Buffer.empty("contrasts", windows, np.float32),
    )
    kernels = compiled(CUDA / "ssim_kernel.cu")
    launch(kernels["offset_kernel<Singles>"], (images * count,), BLOCK, [described])
    launch(named(kernels, "statistics_kernel", taps), (images * count, 2), BLOCK, [described])
    return described


def named(kernels, name, taps):
    return kernels[f"{name}<{len(taps) if len(taps) in UNROLLED else 0}, Singles>"]


def drawn(*shape, seed=0):
    return (np.random.default_rng(seed).random(shape) * 2 - 1).astype(np.float32)


@pytest.mark.parametrize("taps", WINDOWS.values(), ids=str)
def test_ssim(taps) -> None:
    maps, kernels = drawn(1, 3, 19, 14), compiled(CUDA / "ssim_kernel.cu")
    described = prepared(maps, taps)
    groups, partners = np.array([[0, 0, 2], [1, 2, 3]]), np.array([[1, 0], [2, 1], [1, 2]])
    rows, columns = (side - len(taps) + 1 for side in maps.shape[2:])
    tiles, nowhere = -(-rows // TILE_ROWS), np.uint64(0)
    pairs = (Buffer.of("groups", groups), Buffer.of("partners", partners), np.int64(2), np.int64(3))
    partials, means = Buffer.empty("partials", (3, tiles), np.float64), Buffer.empty("means of pairs", (3,), np.float32)
    whole = Buffer.empty("whole", (3, rows, columns), np.float32)
    compare = named(kernels, "compare_kernel", taps)
    launch(compare, (2, 2), BLOCK, [described, pairs, (means, partials, nowhere)])
    numbers = map(np.int64, (3, tiles, rows * columns))
    launch(kernels["mean_kernel<float>"], (1,), BLOCK, [partials, *numbers, means])
    launch(compare, (2, 1), BLOCK, [described, pairs, (nowhere, nowhere, whole)])
    expected = reference.ssim_map(torch.tensor(maps).double(), torch.tensor(PAIRS), taps, 2.0, True)[0].numpy()
    np.testing.assert_allclose(whole.array, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(means.array, expected.mean((1, 2)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("taps", [WINDOWS[5], WINDOWS[3]], ids=str)
def test_its_gradient(taps) -> None:
    maps, kernels = drawn(1, 3, 9, 12), compiled(CUDA / "ssim_backward_kernel.cu")
    described, given = prepared(maps, taps), drawn(1, len(PAIRS), seed=1)
    parts = [
        [(p, side, pair[1 - side]) for p, pair in enumerate(PAIRS) for side in (0, 1) if pair[side] == k]
        for k in range(3)
    ]
    rows, columns = (side - len(taps) + 1 for side in maps.shape[2:])
    out = Buffer.empty("out", maps.shape, np.float32)
    gradient = (
        Buffer.of("given", given),
        np.bool_(False),
        np.int64(len(PAIRS)),
        Buffer.of("pairs", PAIRS),
        np.int64(len(PAIRS)),
        Buffer.of("parts", np.array([part for own in parts for part in own])),
        Buffer.of("begins", np.cumsum([0, *map(len, parts)])),
        Buffer.empty("fields", (1, len(PAIRS), 4, rows, columns), np.float64),
        out,
        np.bool_(False),
    )
    launch(named(kernels, "field_kernel", taps), (len(PAIRS), 1), BLOCK, [described, gradient])
    launch(named(kernels, "gather_kernel", taps), (3, 1), BLOCK, [described, gradient])
    arguments = (torch.tensor(PAIRS), taps, 2.0, True)
    wanted = reference.ssim_backward(torch.tensor(given).double(), torch.tensor(maps).double(), *arguments).numpy()
    np.testing.assert_allclose(out.array / abs(wanted).max(), wanted / abs(wanted).max(), rtol=0, atol=1e-6)
