"""The kernels of a file, as the compiler here writes them in PTX."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from cuda_on_cpu import nvcc
from cuda_on_cpu.ptx.program import Kernel, parse


@cache
def compiled(source: Path) -> dict[str, Kernel]:
    """Return the kernels of a .cu file by the names that people give them: `occlude_kernel<float>`."""
    found = parse(nvcc.ptx(source))
    names = nvcc.readable(list(found))
    return {names[mangled]: kernel for mangled, kernel in found.items()}
