"""SSIM against scikit-image, and where scikit-image's own rounding is too coarse, against its definition."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from skimage.metrics import structural_similarity
from torch import Tensor

from sam_toolkit import ops
from sam_toolkit.errors import OpError
from sam_toolkit.ops import reference, similarity

WINDOWS: list[dict[str, Any]] = [
    *({"window": window} for window in (3, 5, 7, 9, 11)),
    *({"gaussian": sigma} for sigma in (0.3, 1.5, 2.0)),
]
SHAPES = [(15, 15), (23, 40), (40, 17)]
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}


def make_maps(count: int, shape: tuple[int, int], dtype: torch.dtype = torch.float64) -> Tensor:
    """Noise, smooth and sparse maps in [-1, 1], each more or less like the one before."""
    generator = torch.Generator().manual_seed(count + shape[0])
    noise = torch.rand(count, *shape, generator=generator, dtype=torch.float64) * 2 - 1
    smooth = torch.linspace(-1, 1, shape[1], dtype=torch.float64).expand(shape).sin()
    maps = [noise[0], smooth, torch.where(noise[2 % count].abs() > 0.9, noise[2 % count], 0.0)]
    for i in range(3, count):
        maps.append((maps[-1] + noise[i]) / 2)
    return torch.stack(maps[:count]).to(dtype)


def all_pairs(count: int) -> Tensor:
    return torch.tensor(list(itertools.product(range(count), repeat=2)))


def scikit_image(maps: Tensor, pairs: Tensor, data_range: float, sample: bool, **window: Any) -> Tensor:
    arrays = maps.double().numpy()
    how = (
        {"win_size": window["window"]}
        if "window" in window
        else {"gaussian_weights": True, "sigma": window["gaussian"]}
    )
    how |= {"data_range": data_range, "use_sample_covariance": sample}
    values = [structural_similarity(arrays[i], arrays[j], **how) for i, j in pairs.tolist()]  # type: ignore[no-untyped-call]
    return torch.tensor(values, dtype=torch.float64)


def definition(a: Tensor, b: Tensor, data_range: float, window: int) -> float:
    """Wang et al.'s formula, window by window, with two-pass covariances in extended precision."""

    def windows(values: Tensor) -> npt.NDArray[np.longdouble]:
        every = sliding_window_view(values.numpy().astype(np.longdouble), (window, window))
        return every.reshape(-1, window**2)

    x, y = windows(a), windows(b)
    mx, my = x.mean(1), y.mean(1)
    dx, dy = x - mx[:, None], y - my[:, None]
    vx, vy, cov = (np.sum(product, axis=1) / (window**2 - 1) for product in (dx * dx, dy * dy, dx * dy))
    c1, c2 = np.longdouble(0.01 * data_range) ** 2, np.longdouble(0.03 * data_range) ** 2
    values = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return float(values.mean())


def assert_near(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(actual.double(), expected.double(), rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("sample", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_it_is_scikit_image_for_every_window(
    backend: str, window: dict[str, Any], shape: tuple[int, int], sample: bool, dtype: torch.dtype
) -> None:
    maps, pairs = make_maps(5, shape, dtype), all_pairs(5)
    result = ops.ssim(maps, pairs, sample_covariance=sample, **window)
    assert result.dtype == dtype
    assert_near(result, scikit_image(maps, pairs, 2.0, sample, **window), TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
@pytest.mark.parametrize("offset", [0.0, 1.0, 100.0])
@pytest.mark.parametrize("window", [{"window": 5}, {"window": 7}, {"gaussian": 1.5}], ids=str)
def test_offsets_and_scales_cost_no_digits(
    backend: str, window: dict[str, Any], offset: float, scale: float, dtype: torch.dtype
) -> None:
    maps, pairs = ((make_maps(5, (30, 26)) + offset) * scale).to(dtype), all_pairs(5)
    result = ops.ssim(maps, pairs, data_range=2 * scale, **window)
    # An offset costs scikit-image itself four digits in float64.
    tolerance = max(TOLERANCE[dtype], 1e-9 if offset == 100 else 0)
    assert_near(result, scikit_image(maps, pairs, 2 * scale, True, **window), tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("offset", [0.0, 100.0, -1e6])
@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_it_is_the_definition_where_scikit_image_rounds(
    backend: str, scale: float, offset: float, dtype: torch.dtype
) -> None:
    maps, pairs = (make_maps(4, (19, 24)) * scale + offset).to(dtype), all_pairs(4)
    expected = [definition(maps[i], maps[j], 2.0, 7) for i, j in pairs.tolist()]
    assert_near(ops.ssim(maps, pairs, 7), torch.tensor(expected, dtype=torch.float64), TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("values", [(0.0, 0.0), (0.0, 1.0), (100.0, 100.25), (1e6, 1e6), (-1.0, 1.0)])
def test_constant_maps_are_compared_by_luminance_alone(
    backend: str, values: tuple[float, float], dtype: torch.dtype
) -> None:
    a, b = values
    maps = torch.tensor(values, dtype=dtype)[:, None, None].expand(2, 12, 9)
    c1 = (0.01 * 2.0) ** 2
    expected = torch.tensor([(2 * a * b + c1) / (a * a + b * b + c1), 1.0], dtype=torch.float64)
    assert_near(ops.ssim(maps, torch.tensor([[0, 1], [1, 1]])), expected, TOLERANCE[dtype])


def test_a_batch_is_its_images_and_order_does_not_matter(backend: str) -> None:
    maps, pairs = torch.stack([make_maps(4, (20, 15)), make_maps(4, (20, 15)).flip(0)]), all_pairs(4)
    result = ops.ssim(maps, pairs)
    assert result.shape == (2, 16)
    assert all(torch.equal(result[b], ops.ssim(maps[b], pairs)) for b in range(2))
    assert_near(result, ops.ssim(maps, pairs.flip(1)), 1e-14)


def test_a_map_of_one_window_and_no_pairs_are_fine(backend: str) -> None:
    maps = make_maps(3, (5, 5))
    assert_near(ops.ssim(maps, all_pairs(3)), scikit_image(maps, all_pairs(3), 2.0, True, window=5), 1e-12)
    assert ops.ssim(maps, torch.empty(0, 2, dtype=torch.int64)).shape == (0,)


def test_strided_maps_are_read_where_they_lie(backend: str) -> None:
    maps = make_maps(4, (20, 30))
    turned = maps.transpose(1, 2)
    assert_near(ops.ssim(turned, all_pairs(4)), ops.ssim(turned.contiguous(), all_pairs(4)), 1e-14)


def test_a_map_that_is_not_finite_gives_nan_to_its_own_pairs_only(backend: str) -> None:
    maps = make_maps(3, (12, 12))
    maps[1, 3, 3] = torch.nan
    result = ops.ssim(maps, torch.tensor([[0, 2], [0, 1], [1, 2]]))
    assert result.isnan().tolist() == [False, True, True]


@pytest.mark.parametrize("window", [{"window": 3}, {"gaussian": 0.5}], ids=str)
def test_gradients_are_those_of_finite_differences(backend: str, window: dict[str, Any]) -> None:
    maps = make_maps(3, (7, 6)).requires_grad_()
    assert torch.autograd.gradcheck(lambda m: ops.ssim(m, torch.tensor([[0, 1], [2, 0]]), **window), maps)


def test_the_compiled_operator_meets_the_rules_of_pytorch(compiled: None) -> None:
    maps = make_maps(6, (9, 8)).reshape(2, 3, 9, 8).requires_grad_()
    arguments = (maps, torch.tensor([[0, 1], [2, 2]]), [0.2] * 5, 2.0, True)
    torch.library.opcheck(torch.ops.sam_toolkit.ssim.default, arguments)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_the_compiled_operator_is_its_reference(compiled: None, dtype: torch.dtype) -> None:
    maps, pairs = make_maps(8, (61, 47), dtype).reshape(2, 4, 61, 47), all_pairs(4)
    taps = similarity._taps("ssim", None, True)
    ops.reset_calls()
    result = ops.ssim(maps, pairs, gaussian=True)
    assert ops.calls()["ssim"] == {"cpu": 1, "cuda": 0, "reference": 0}
    assert_near(result, reference.ssim(maps, pairs, taps, 2.0, True), TOLERANCE[dtype] / 10)


GPU_TOLERANCE = {**TOLERANCE, torch.float16: 2e-3, torch.bfloat16: 2e-2}


@pytest.mark.parametrize("dtype", GPU_TOLERANCE)
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_a_gpu_gives_the_same(compiled: None, window: dict[str, Any], dtype: torch.dtype) -> None:
    cuda = ops.status()[1]
    if not cuda.loaded or not torch.cuda.is_available():
        pytest.skip(f"the GPU operators cannot run: {cuda.reason or 'PyTorch sees no GPU'}")
    maps, pairs = make_maps(8, (61, 147), dtype).reshape(2, 4, 61, 147), all_pairs(4)
    for op in ("ssim", "ssim_map"):
        ops.reset_calls()
        varied = maps.cuda().requires_grad_()
        result = getattr(ops, op)(varied, pairs, **window)
        assert ops.calls()[op]["cuda"] == 1
        taps = similarity._taps(op, window.get("window"), window.get("gaussian", False))
        exact = maps.double().requires_grad_()
        expected = getattr(reference, op)(exact, pairs, taps, 2.0, True)
        assert_near(result.cpu(), expected, GPU_TOLERANCE[dtype])
        result.sum().backward()
        expected.sum().backward()
        largest = exact.grad.abs().max()
        assert_near(varied.grad.cpu() / largest, exact.grad / largest, 10 * GPU_TOLERANCE[dtype])


def test_one_thread_and_many_give_the_same(compiled: None, restored_threads: None) -> None:
    maps, results = make_maps(8, (33, 29)).reshape(2, 4, 33, 29), []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        results.append(ops.ssim(maps, all_pairs(4)))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"maps": torch.zeros(9, 9)}, r"ops\.ssim: maps must be .* \[B, K, H, W\]; got float32 \[9, 9\]"),
        ({"maps": torch.zeros(3, 9, 9).long()}, r"maps must be a floating-point tensor .*; got int64"),
        ({"maps": torch.zeros(3, 9, 6), "window": 7}, r"at least as large as the window, 7 x 7; got 9 x 6"),
        ({"maps": torch.zeros(3, 9, 9), "gaussian": True}, r"as large as the window, 11 x 11; got 9 x 9"),
        ({"pairs": torch.tensor([0, 1])}, r"pairs must be int64 \[P, 2\]; got int64 \[2\]"),
        ({"pairs": torch.tensor([[0, 1], [0, 3]])}, r"pair must index.* pairs\[1\] = \(0, 3\) for 3 maps"),
        ({"pairs": torch.tensor([[-1, 1]])}, r"pairs\[0\] = \(-1, 1\) for 3 maps"),
        ({"window": 4}, r"window must be odd and at least 3; got 4"),
        ({"window": 1}, r"window must be odd and at least 3; got 1"),
        ({"gaussian": 0.1}, r"gaussian must be .*at least 1/7; got 0\.1"),
        ({"gaussian": float("nan")}, r"gaussian must be .*at least 1/7; got nan"),
        ({"data_range": 0.0}, r"data_range must be positive and finite; got 0\.0"),
        ({"data_range": float("inf")}, r"data_range must be positive and finite; got inf"),
    ],
)
def test_an_error_names_the_rule_and_the_value(backend: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(OpError, match=message):
        ops.ssim(**{"maps": torch.zeros(3, 9, 9), "pairs": torch.tensor([[0, 1]]), **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (torch.zeros(1, 2, 9, 9), torch.tensor([[0, 2]]), [0.2] * 5, 2.0),
            r"index the maps; got pairs\[0\]",
        ),
        ((torch.zeros(1, 2, 9, 9), torch.tensor([[0, 1]]), [0.1] * 10, 2.0), r"window must be odd"),
        ((torch.zeros(1, 2, 9, 4), torch.tensor([[0, 1]]), [0.2] * 5, 2.0), r"window must fit into the map"),
        ((torch.zeros(1, 2, 9, 9), torch.tensor([[0, 1]]), [0.2] * 5, -1.0), r"data_range must be positive"),
        ((torch.zeros(2, 9, 9), torch.tensor([[0, 1]]), [0.2] * 5, 2.0), r"maps must be float32 or float64"),
    ],
)
def test_the_kernel_itself_refuses_what_it_cannot_read(
    compiled: None, arguments: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(RuntimeError, match=f"sam_toolkit::ssim: .*{message}"):
        torch.ops.sam_toolkit.ssim(*arguments, True)
