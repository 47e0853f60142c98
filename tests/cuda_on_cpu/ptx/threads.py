"""The threads of a launch: where each stands in its block, and what its registers hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from cuda_on_cpu.ptx.arithmetic import KINDS, Values
from cuda_on_cpu.ptx.memory import WARP, KernelError, Numbers
from cuda_on_cpu.ptx.program import Kernel, Operand, UnsupportedError

Extent = tuple[int, int, int]
_BITS: dict[int, np.dtype[Any]] = {1: np.dtype("u1"), 2: np.dtype("u2"), 4: np.dtype("u4"), 8: np.dtype("u8")}


class Threads:
    """All threads, numbered by whole warps: a last warp that is not full has lanes that never `exist`."""

    def __init__(self, kernel: Kernel, grid: Sequence[int], block: Sequence[int]) -> None:
        self.grid, self.block = _extent(grid), _extent(block)
        used, self.blocks = int(np.prod(self.block)), int(np.prod(self.grid))
        if not 0 < used <= kernel.max_threads or not self.blocks:
            raise KernelError(f"{kernel.name} runs 1 to {kernel.max_threads} threads in a block; got {used}")
        self.per_block = -(-used // WARP) * WARP
        self.count = self.blocks * self.per_block
        numbers = np.arange(self.count)
        self.block_of, self.in_block = numbers // self.per_block, numbers % self.per_block
        self.exist = self.in_block < used
        self._sizes = kernel.registers
        self._values = self._special(numbers)

    def describe(self, thread: int) -> str:
        """Return a thread's place in its block, and the block's in the grid."""
        inside, block = int(self.in_block[thread]), int(self.block_of[thread])
        return f"thread {_coordinates(inside, self.block)} of block {_coordinates(block, self.grid)}"

    def read(self, operand: Operand, kind: str, group: Numbers) -> Values:
        """Return an operand's values for a group of threads."""
        wanted = KINDS[kind]
        if isinstance(operand, int):
            bits = operand & ((1 << 8 * wanted.itemsize) - 1)
            return np.full(len(group), bits, _BITS[wanted.itemsize]).view(wanted)
        if not isinstance(operand, str) or operand not in self._values:
            raise UnsupportedError(f"an operand that holds nothing, or that the interpreter does not know: {operand}")
        held = self._values[operand][group]
        return held.astype(_BITS[wanted.itemsize]).view(wanted)

    def write(self, register: Operand, values: Values, group: Numbers) -> None:
        """Set a register for a group of threads; numbers with a sign keep it in a wider register."""
        if not isinstance(register, str):
            raise UnsupportedError(f"a destination that the interpreter does not know: {register}")
        size = self.bytes_of(register)
        bits = values.astype(np.dtype(f"i{size}")) if values.dtype.kind == "i" else values
        if bits.dtype.kind == "f":
            bits = bits.view(_BITS[bits.dtype.itemsize])
        if register not in self._values:
            self._values[register] = np.zeros(self.count, _BITS[size])
        self._values[register][group] = bits.astype(_BITS[size])

    def bytes_of(self, register: str) -> int:
        """Return how wide a register is."""
        name = re.sub(r"\d+$", "", register)
        return self._sizes[register if register in self._sizes else name]

    def _special(self, numbers: Numbers) -> dict[str, Values]:
        found = {"%laneid": numbers % WARP}
        places = {"%tid": (self.in_block, self.block), "%ctaid": (self.block_of, self.grid)}
        for name, (number, extent) in places.items():
            rest = number
            for axis, size in zip("xyz", extent, strict=True):
                found[f"{name}.{axis}"], rest = rest % size, rest // size
        for name, extent in (("%ntid", self.block), ("%nctaid", self.grid)):
            found |= {f"{name}.{axis}": np.full(self.count, size) for axis, size in zip("xyz", extent, strict=True)}
        return {name: values.astype(np.uint32) for name, values in found.items()}


def _extent(sizes: Sequence[int]) -> Extent:
    x, y, z = (*sizes, 1, 1)[:3]
    return x, y, z


def _coordinates(number: int, extent: Extent) -> tuple[int, int, int]:
    x, y, _ = extent
    return number % x, number // x % y, number // (x * y)
