"""What CUDA's built-in names do in the simulator, and what it says of a mistake."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cuda_on_cpu.harness import ORDERS, KernelError, Out, from_bfloat16, to_bfloat16

LANES = np.arange(32)
WARP = ("index", "up", "down", "exclusive", "ballot", "any", "all")
MISTAKES = (
    "none",
    "other mask",
    "foreign mask",
    "lane outside",
    "lane missing",
    "two barriers",
    "unwritten",
    "no warp barrier",
    "between warps",
    "between blocks",
    "overflow",
    "input written",
    "misaligned",
)
INPUT = np.arange(40, dtype=np.int32) + 100


def across_warp(operation, values, operand, width):
    """Return what each lane gets, by the CUDA C++ Programming Guide."""
    first, lane = LANES // width * width, LANES % width
    target = LANES ^ operand
    sources = {
        "index": first + operand % width,
        "up": np.where(lane >= operand, LANES - operand, LANES),
        "down": np.where(lane + operand < width, LANES + operand, LANES),
        "exclusive": np.where(target < first + width, target, LANES),
    }
    return values[sources[operation]]


def mistaken(simulator, mistake, order="ascending"):
    arguments = (MISTAKES.index(mistake), INPUT, Out((3, 40), np.int32))
    return simulator.call("probe", "mistaken", *arguments, order=order)[0][:2]


@pytest.mark.parametrize("order", ORDERS)
def test_each_thread_of_a_grid_runs_once_and_knows_its_place(simulator, order):
    (got,) = simulator.call("probe", "places", Out((12 * 30, 12), np.int32), order=order)
    places = [(x, y, z) for z in range(2) for y in range(3) for x in range(2)]
    threads = [(x, y, z) for z in range(3) for y in range(2) for x in range(5)]
    expected = [(*block, *thread, 2, 3, 2, 5, 2, 3) for block in places for thread in threads]
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("operation", WARP[:4])
@pytest.mark.parametrize(("width", "operand"), [(32, 1), (32, 17), (8, 3), (16, 20)])
def test_a_shuffle_moves_values_as_the_guide_says(plain, operation, width, operand):
    for name, dtype in (("warp_int", np.int32), ("warp_double", np.float64)):
        values = np.random.default_rng(0).integers(0, 1000, 32).astype(dtype)
        arguments = (WARP.index(operation), operand, width, values, Out((32,), dtype))
        (got,) = plain.call("probe", name, *arguments, order=3)
        np.testing.assert_array_equal(got, across_warp(operation, values, operand, width))


def test_lanes_vote(plain):
    for limit in (-1, 12, 40):
        truths = limit < LANES
        expected = {"ballot": sum(1 << lane for lane in LANES[truths]), "any": truths.any(), "all": truths.all()}
        for operation, value in expected.items():
            arguments = (WARP.index(operation), limit, 32, LANES.astype(np.float64), Out((32,), np.float64))
            (got,) = plain.call("probe", "warp_double", *arguments)
            np.testing.assert_array_equal(got, value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_numbers_round_as_in_pytorch_and_launches_follow_each_other(simulator, dtype):
    generator = np.random.default_rng(0)
    values = (generator.standard_normal(1024) * 10.0 ** generator.integers(-9, 6, 1024)).astype(np.float32)
    values[:6] = [0, -0.0, np.inf, np.nan, 2049, 2051]  # the last two are between numbers of float16
    name = "narrow_half" if dtype is torch.float16 else "narrow_bfloat16"
    got = simulator.call("probe", name, values, 16, Out((1024,), np.int16), Out((1024,), np.int16), Out((1024,)))
    narrow = torch.from_numpy(values).to(dtype)
    for bits, expected in zip(got[:2], (narrow, narrow / 3), strict=True):
        torch.testing.assert_close(torch.from_numpy(bits).view(dtype), expected, rtol=0, atol=0, equal_nan=True)
    np.testing.assert_array_equal(got[2], narrow.float().numpy()[::-1])


def test_bfloat16_crosses_to_and_from_numpy_as_in_pytorch():
    values = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    values[:3] = [np.inf, np.nan, -0.0]
    np.testing.assert_array_equal(from_bfloat16(to_bfloat16(values)), torch.from_numpy(values).bfloat16().float())


@pytest.mark.parametrize("order", ORDERS)
def test_a_kernel_without_a_mistake_raises_no_alarm(simulator, order):
    np.testing.assert_array_equal(mistaken(simulator, "none", order), [INPUT, INPUT])


@pytest.mark.parametrize(
    ("mistake", "thread", "words"),
    [
        ("other mask", 0, r"in __shfl_sync at .*: it waits for thread \(16, 0, 0\), .* with the mask 0xffff0001"),
        ("foreign mask", 16, "in __shfl_sync at .*: its own lane is not in the mask 0x0000ffff"),
        ("lane outside", 15, "in __shfl_sync at .*: it reads lane 20, which is not in the mask 0x0000ffff"),
        ("lane missing", 32, "in __shfl_sync at .*: it waits for lane 8 of its warp, which the block does not have"),
        ("two barriers", 0, r"in __syncthreads at .*: it waits for thread \(8, 0, 0\), which waits in __syncthreads"),
    ],
)
def test_threads_that_miss_each_other_are_named_and_the_next_launch_is_well(simulator, mistake, thread, words):
    place = rf"mistaken_kernel, block \(0, 0, 0\), thread \({thread}, 0, 0\) "
    with pytest.raises(KernelError, match=place + words.replace(" at ", r" at probe_kernels.cu:\d+")):
        mistaken(simulator, mistake)
    np.testing.assert_array_equal(mistaken(simulator, "none"), [INPUT, INPUT])


def test_shared_memory_that_nobody_wrote_is_poison(simulator):
    assert (mistaken(simulator, "unwritten")[:, 0] == -1).all()


@pytest.mark.parametrize(
    ("build", "mistake", "words"),
    [
        ("thread", "no warp barrier", "data race"),
        ("thread", "between warps", "data race"),
        ("thread", "between blocks", "data race"),
        ("plain", "overflow", "ended with -11"),
        ("plain", "input written", "mistaken: argument 1 is an input and was written"),
        ("address", "misaligned", "misaligned address"),
    ],
)
def test_what_one_build_alone_notices_is_reported(simulators, build, mistake, words):
    with pytest.raises(KernelError, match=words) as caught:
        mistaken(simulators(build), mistake)
    if mistake != "input written":
        assert "in mistaken_kernel, block (" in str(caught.value)


def test_a_block_has_48_kib_of_shared_memory(plain):
    plain.call("probe", "large", False, Out((1,), np.int8))
    with pytest.raises(KernelError, match=r"large_kernel.*: 49153 bytes of shared memory are more than the 49152"):
        plain.call("probe", "large", True, Out((1,), np.int8))


@pytest.mark.parametrize(
    "shape", [(0, 1, 1, 1, 1, 1), (1, 65536, 1, 1, 1, 1), (1, 1, 1, 32, 33, 1), (1, 1, 1, 1, 1, 65)]
)
def test_a_launch_that_cuda_refuses_is_refused(plain, shape):
    with pytest.raises(KernelError, match=r"large_kernel<8>: no grid \(\d.*\) of blocks .* can be launched"):
        plain.call("probe", "shaped", *shape, Out((1,), np.int8))


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ((0, INPUT), 2),
        ((0, INPUT, INPUT, 1), 3),
        ((0.5, INPUT, INPUT), 0),
        ((0, INPUT.astype(np.int64), INPUT), 1),
        ((0, INPUT, 1), 2),
    ],
)
def test_arguments_that_do_not_fit_are_refused(plain, arguments, place):
    with pytest.raises(KernelError, match=f"mistaken: argument {place} is missing"):
        plain.call("probe", "mistaken", *arguments)


def test_a_face_that_does_not_compile_says_why(plain, tmp_path, monkeypatch):
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "wrong.cpp").write_text("#error as asked for\n")
    monkeypatch.setattr("cuda_on_cpu.harness.FOLDER", tmp_path)
    with pytest.raises(KernelError, match="as asked for"):
        plain.call("wrong", "wrong")
