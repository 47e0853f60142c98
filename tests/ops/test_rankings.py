"""Orders, ranks and Kendall's tau against SciPy, on maps with ties, signed zeros, infinities and NaN."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats
from torch import Tensor

from sam_toolkit import ops
from sam_toolkit.errors import OpError
from sam_toolkit.ops import reference

AWKWARD = [0.0, -0.0, 1.0, -1.0, 1e-40, 3e38, float("inf"), float("-inf")]


def make_maps(kind: str, dtype: torch.dtype = torch.float32, count: int = 4, pixels: int = 60) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(count, pixels, generator=generator, dtype=torch.float64)
    maps = {"noise": noise, "ties": (3 * noise).round(), "sparse": noise.clamp(min=0.8), "constant": noise * 0 + 2}
    return maps[kind].to(dtype)


def every_pair(count: int) -> Tensor:
    return torch.ones(count, count).nonzero().contiguous()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", ["noise", "ties", "sparse", "constant"])
def test_pixels_come_by_value_and_then_by_index(backend: str, kind: str, dtype: torch.dtype) -> None:
    maps = make_maps(kind, dtype)
    expected = [sorted(range(maps.shape[1]), key=lambda i: (-row[i], i)) for row in maps.tolist()]
    assert ops.descending_order(maps).tolist() == expected


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.float32, st.integers(1, 20), elements=st.sampled_from(AWKWARD)))
def test_awkward_values_are_ordered_and_ranked_as_scipy_does(values: np.ndarray) -> None:
    maps = torch.from_numpy(values)
    expected = sorted(range(len(values)), key=lambda i: (-float(values[i]), i))
    for rows in (maps, maps.double()):
        assert ops.descending_order(rows).tolist() == expected
        assert reference.descending_order(rows[None])[0].tolist() == expected
        assert ops.average_ranks(rows).tolist() == stats.rankdata(values).tolist()
        assert reference.average_ranks(rows[None])[0].tolist() == stats.rankdata(values).tolist()


def test_nan_comes_first_and_leaves_no_ranks(backend: str) -> None:
    maps = torch.tensor([[1.0, float("nan"), float("inf"), -float("nan")], [1.0, 3.0, 2.0, 2.0]])
    assert ops.descending_order(maps).tolist() == [[1, 3, 2, 0], [1, 2, 3, 0]]
    ranks = ops.average_ranks(maps)
    assert ranks[0].isnan().all()
    assert ranks[1].tolist() == [1, 4, 2.5, 2.5]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
@pytest.mark.parametrize("kind", ["noise", "ties", "sparse"])
def test_tau_is_scipys(backend: str, kind: str, dtype: torch.dtype) -> None:
    maps, pairs = make_maps(kind, dtype), every_pair(4)
    expected = [stats.kendalltau(maps[i].numpy(), maps[j].numpy()).statistic for i, j in pairs.tolist()]
    np.testing.assert_allclose(ops.kendall(maps, pairs), expected, rtol=0, atol=1e-15)


def test_tau_of_large_maps_is_scipys(compiled: None) -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 9000, generator=generator)
    for one in (maps, (2 * maps).round(), torch.stack([maps[0], maps[0] + 0.3 * maps[1]])):
        expected = stats.kendalltau(one[0].numpy(), one[1].numpy()).statistic
        assert float(ops.kendall(one, torch.tensor([[0, 1]]))) == pytest.approx(expected, abs=1e-15)


def test_tau_is_exactly_1_for_equal_maps_and_undefined_for_constant_ones(backend: str) -> None:
    maps = torch.cat([make_maps("ties"), -make_maps("ties")[:1], make_maps("constant")[:1]])
    maps[3, 0] = torch.nan
    pairs = torch.tensor([[0, 0], [0, 4], [0, 5], [5, 5], [3, 0], [3, 3]])
    found = ops.kendall(maps, pairs)
    assert found[:2].tolist() == [1.0, -1.0]
    assert found[2:].isnan().all()


def test_a_batch_is_its_images(backend: str) -> None:
    maps = make_maps("ties", count=6).reshape(2, 3, -1)
    found = ops.kendall(maps, every_pair(3))
    assert found.shape == (2, 9)
    assert torch.equal(found[1], ops.kendall(maps[1], every_pair(3)))


def test_maps_of_a_pixel_and_no_pairs_are_fine(backend: str) -> None:
    single = torch.ones(2, 1)
    assert ops.descending_order(single).tolist() == [[0], [0]]
    assert ops.average_ranks(single).tolist() == [[1], [1]]
    assert ops.kendall(single, torch.tensor([[0, 1]])).isnan().all()
    assert ops.kendall(single, torch.empty(0, 2, dtype=torch.int64)).shape == (0,)
    assert ops.descending_order(torch.empty(0, 7)).shape == (0, 7)


def test_strided_maps_are_read_where_they_lie(backend: str) -> None:
    turned = make_maps("ties", count=60).T
    assert torch.equal(ops.average_ranks(turned), ops.average_ranks(turned.contiguous()))
    assert torch.equal(ops.kendall(turned[:3], every_pair(3)), ops.kendall(turned[:3].contiguous(), every_pair(3)))


def test_the_compiled_operators_meet_the_rules_of_pytorch(compiled: None) -> None:
    maps = make_maps("ties")
    torch.library.opcheck(torch.ops.sam_toolkit.descending_order.default, (maps,))
    torch.library.opcheck(torch.ops.sam_toolkit.average_ranks.default, (maps,))
    torch.library.opcheck(torch.ops.sam_toolkit.kendall.default, (maps[None], every_pair(4)))


def test_one_thread_and_many_give_the_same(compiled: None, restored_threads: None) -> None:
    maps, found = make_maps("ties", count=8), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found.append((ops.descending_order(maps), ops.kendall(maps, every_pair(8))))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ops.descending_order(torch.zeros(3).long()),
            r"ops\.descending_order: .*; got int64 \[3\]",
        ),
        (lambda: ops.kendall(torch.zeros(3), every_pair(1)), r"ops\.kendall: maps must be .* \[B, K, n\]; got float32"),
        (lambda: ops.kendall(torch.zeros(2, 3), every_pair(3)), r"pairs\[2\] = \(0, 2\) for 2 maps"),
    ],
)
def test_wrong_arguments_are_named(call, message) -> None:
    with pytest.raises(OpError, match=message):
        call()


def test_past_the_wrapper_a_kernel_reads_nothing_outside(compiled: None) -> None:
    with pytest.raises(RuntimeError, match=r"kendall: pairs must index the maps; got pairs\[0\] with 5 for 2 maps"):
        torch.ops.sam_toolkit.kendall(torch.zeros(1, 2, 3), torch.tensor([[5, 0]]))
    with pytest.raises(RuntimeError, match="average_ranks: maps must be float32 or float64"):
        torch.ops.sam_toolkit.average_ranks(torch.zeros(2, 3, dtype=torch.int64))
