"""The interpreter of PTX passes a correct kernel, and names what is wrong with each spoilt one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cuda_on_cpu import nvcc
from cuda_on_cpu.ptx.counts import Counts
from cuda_on_cpu.ptx.kernels import compiled
from cuda_on_cpu.ptx.machine import launch
from cuda_on_cpu.ptx.memory import Buffer, KernelError
from numpy.typing import NDArray

pytestmark = pytest.mark.skipif(nvcc.toolkit() is None, reason="there is no CUDA toolkit to compile with")
SOURCE = Path(__file__).parent / "ptx" / "planted.cu"
BLOCKS, THREADS = 3, 64
BUGS = {
    "no_barrier_after_the_load": r"a race: read .* another's write: 4 bytes of shared memory at tile\+",
    "no_barrier_before_the_total": r"a race: read .* another's write: 4 bytes of shared memory at totals\+",
    "no_barrier_before_the_second_load": r"a race: write .* another's read: 4 bytes of shared memory at tile\+",
    "read_past_the_input": r"out of bounds: .* global memory at in\+1536 \(it has 1536 bytes\)",
    "read_before_the_input": r"out of bounds: .* global memory .* thread \(0, 0, 0\) of block \(0, 0, 0\)",
    "read_past_the_tile": r"out of bounds: .* shared memory at tile\+264 .* thread \(63, 0, 0\)",
    "misaligned_vector": r"ld\.global\.v2\.f32 .* misaligned: 8 bytes of global memory at in\+4",
    "tile_not_filled": r"a read of what nobody wrote: .* shared memory at tile\+260",
    "half_a_warp_shuffles_with_a_full_mask": r"never come: .* 32 wait for other lanes .* lanes 0x0000ffff",
    "lane_outside_its_own_mask": r"a lane outside its own mask 0x7fffffff; thread \(31, 0, 0\)",
    "lane_reads_one_that_its_mask_leaves_out": r"lane 0 reads lane 16, which its mask leaves out",
    "lanes_name_different_masks": r"lanes name different masks: 0x0000ffff and 0xffffffff",
    "return_before_the_barrier": r"never come: 32 threads have returned; 32 wait at the barrier planted\.cu:\d+",
    "barriers_in_two_branches": r"never come: .* 32 wait at the barrier .*; 32 wait at the barrier",
    "several_threads_write_one_output": r"several threads write it at once: 4 bytes of global memory at out\+0",
    "blocks_write_one_output": r"several threads write it at once: 4 bytes of global memory at out\+0",
}


def run(kernel: str) -> tuple[NDArray[np.float32], NDArray[np.float32], Counts]:
    values = np.random.default_rng(0).random(BLOCKS * 2 * THREADS, dtype=np.float32)
    out = Buffer.empty("out", (BLOCKS,), np.float32)
    arguments = (Buffer.of("in", values), np.int32(values.size), out)
    counts = launch(compiled(SOURCE)[kernel], (BLOCKS,), (THREADS,), arguments)
    return values, out.array, counts


def test_the_correct_kernel_passes_with_the_right_sums() -> None:
    values, sums, _ = run("correct")
    wide = np.pad(values.astype(np.float64), 1, mode="edge")
    expected = (wide[:-2] + wide[1:-1] + wide[2:]).reshape(BLOCKS, -1).sum(axis=1)
    np.testing.assert_allclose(sums, expected, rtol=1e-6)


def test_accesses_are_counted() -> None:
    traffic = run("correct")[2].traffic
    warps = BLOCKS * THREADS // 32
    assert traffic["global load"].bytes == BLOCKS * 2 * (THREADS + 2) * 4
    assert traffic["global store"].bytes == BLOCKS * 4
    assert traffic["global store"].sectors == BLOCKS
    assert traffic["global load"].requests == 2 * (warps + BLOCKS)  # the halo is one more request of each first warp
    assert traffic["shared load"].wavefronts == traffic["shared load"].phases


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug) -> None:
    with pytest.raises(KernelError, match=BUGS[bug]):
        run(bug)


def test_every_planted_bug_is_looked_for() -> None:
    assert set(compiled(SOURCE)) == {"correct", *BUGS}
