"""How full a multiprocessor can be with a kernel's blocks, by the calculator in NVIDIA's header."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path

from cuda_on_cpu import nvcc
from cuda_on_cpu.compiled.resources import Resources

KIB = 1 << 10
# Threads of a multiprocessor, its shared memory, and what one block may have of it.
LIMITS = {
    "sm_80": (2048, 164 * KIB, 163 * KIB),
    "sm_89": (1536, 100 * KIB, 99 * KIB),
    "sm_90": (2048, 228 * KIB, 227 * KIB),
    "sm_120": (1536, 100 * KIB, 99 * KIB),
}


def occupancy(arch: str, threads: int, used: Resources) -> float:
    """Return the share of a multiprocessor's threads that blocks of `threads` can fill, 0 to 1."""
    most, shared, shared_block = LIMITS[arch]
    capability = int(arch.removeprefix("sm_"))
    device = (capability // 10, capability % 10, most, shared, shared_block)
    blocks = _calculator()(*device, threads, used.registers, used.shared_bytes, used.barriers)
    if blocks < 0:
        raise ValueError(f"the occupancy calculator refuses {arch} with {threads} threads and {used}")
    warps = -(-threads // 32)
    return blocks * warps * 32 / most


@cache
def _calculator() -> Callable[..., int]:
    library = ctypes.CDLL(str(nvcc.host_library(Path(__file__).with_name("occupancy.cpp"))))
    calculate: Callable[..., int] = library.blocks_per_multiprocessor
    return calculate
