"""Loads and stores: from addresses in registers to bytes in one of the memories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from cuda_on_cpu.ptx.arithmetic import KINDS, Values
from cuda_on_cpu.ptx.counts import Counts
from cuda_on_cpu.ptx.memory import Access, Buffer, Memory, Numbers
from cuda_on_cpu.ptx.program import Address, Instruction, Kernel, Operand, UnsupportedError
from cuda_on_cpu.ptx.threads import Threads

_SPACES = ("global", "shared", "local", "param")
_CHANGES: dict[str, Callable[..., Any]] = {"add": np.add, "min": np.minimum, "max": np.maximum}
_HINTS = frozenset({*_CHANGES, "nc", "ca", "cg", "cs", "lu", "cv", "wb", "wt", "v2", "v4", "volatile", *_SPACES})


@dataclass
class Epochs:
    """How many barriers the blocks, and the warps alone, have behind them."""

    block: Numbers
    warp: Numbers


class Memories:
    """The memories of a launch, and where the variables of a kernel lie in them."""

    def __init__(self, kernel: Kernel, threads: Threads, buffers: list[Buffer]) -> None:
        self._threads, self.symbols = threads, dict[str, int]()
        self.spaces = {"global": Memory("global", buffers, 1, threads.per_block)}
        for space, copies in (("shared", threads.blocks), ("local", threads.count)):
            arrays = [
                Buffer.empty(name.rpartition("__")[2] or name, (variable.size,), np.uint8)
                for name, variable in kernel.variables.items()
                if variable.space == space
            ]
            names = [name for name, variable in kernel.variables.items() if variable.space == space]
            self._add(space, names, arrays, copies)

    def parameters(self, values: dict[str, bytes]) -> None:
        """Place the kernel's arguments, already in bytes."""
        arrays = [Buffer.of(name, np.frombuffer(data, np.uint8)) for name, data in values.items()]
        self._add("param", list(values), arrays, 1)

    def _add(self, space: str, names: list[str], arrays: list[Buffer], copies: int) -> None:
        memory = self.spaces[space] = Memory(space, arrays, copies, self._threads.per_block)
        self.symbols |= {name: memory.address(array) for name, array in zip(names, arrays, strict=True)}

    def load(self, one: Instruction, group: Numbers, epochs: Epochs, counts: Counts) -> None:
        """Load one value, or a vector of them, for each thread of a group."""
        target, address = one.operands
        targets = target if isinstance(target, tuple) else (target,)
        space, access = self._access(one, address, len(targets), group, epochs)
        data = self.spaces[space].load(access)
        if space in {"global", "shared"}:
            counts.access(f"{space} load", group, access.addresses, access.size)
        kind = KINDS[one.kinds[-1]]
        columns = data.reshape(len(group), len(targets), kind.itemsize)
        for number, register in enumerate(targets):
            self._threads.write(register, np.ascontiguousarray(columns[:, number]).view(kind)[:, 0], group)

    def store(self, one: Instruction, group: Numbers, epochs: Epochs, counts: Counts) -> None:
        """Store one value, or a vector of them, for each thread of a group."""
        address, source = one.operands
        sources = source if isinstance(source, tuple) else (source,)
        space, access = self._access(one, address, len(sources), group, epochs)
        values: list[Values] = [self._threads.read(part, one.kinds[-1], group) for part in sources]
        data = np.stack(values, axis=1).view(np.uint8).reshape(len(group), access.size)
        self.spaces[space].store(access, data)
        if space in {"global", "shared"}:
            counts.access(f"{space} store", group, access.addresses, access.size)

    def update(self, one: Instruction, group: Numbers, epochs: Epochs, counts: Counts) -> None:
        """Change a number in memory for each thread of a group, undivided by others (`atom` and `red`)."""
        change = next((_CHANGES[name] for name in one.modifiers if name in _CHANGES), None)
        if change is None:
            raise UnsupportedError(f"an atomic instruction that the interpreter does not know: {one}")
        *target, address, source = one.operands
        space, access = self._access(one, address, 1, group, epochs)
        values = self._threads.read(source, one.kinds[-1], group)
        with np.errstate(over="ignore"):
            before = self.spaces[space].update(access, values, change)
        counts.access(f"{space} atomic", group, access.addresses, access.size)
        if target and target[0] != "_":
            self._threads.write(target[0], before, group)

    def _access(
        self, one: Instruction, address: Operand, values: int, group: Numbers, epochs: Epochs
    ) -> tuple[str, Access]:
        unknown = sorted(set(one.modifiers) - _HINTS)
        if unknown or not isinstance(address, Address):
            raise UnsupportedError(f"an access that the interpreter does not know: {one}")
        space = next((name for name in _SPACES if name in one.modifiers), "global")
        copies = {"shared": self._threads.block_of[group], "local": group}.get(space, 0)
        if address.base in self.symbols:
            addresses = np.full(len(group), self.symbols[address.base])
        else:
            wide = "b32" if space == "shared" and self._threads.bytes_of(address.base) == 4 else "b64"
            addresses = self._threads.read(address.base, wide, group).astype(np.int64)
        size = KINDS[one.kinds[-1]].itemsize * values
        at = (epochs.block[group], epochs.warp[group])
        return space, Access(group, addresses + address.offset, copies, size, *at)
