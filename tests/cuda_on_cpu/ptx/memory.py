"""Memory that knows which bytes are whose, which were written, and which threads touch the same ones unordered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Numbers = NDArray[np.int64]
WARP = 32
GAP = 256  # between arrays, so that one byte too far is nobody's
BASES = {"global": 1 << 40}  # beyond 32 bits, as on a GPU


class KernelError(Exception):
    """What a kernel does that no kernel may do; names the instruction, the thread and the byte."""


class FaultError(Exception):
    """The same before the instruction is known: what is wrong, and the number of the thread."""

    def __init__(self, what: str, thread: int) -> None:
        super().__init__(what)
        self.what, self.thread = what, thread


@dataclass
class Buffer:
    """A named array in the memory of the device; `written` marks what holds a value, byte by byte."""

    name: str
    array: NDArray[Any]
    written: Flags

    @classmethod
    def of(cls, name: str, array: NDArray[Any]) -> Buffer:
        """Return a buffer that holds an array."""
        held = np.array(array, order="C")
        return cls(name, held, np.ones(held.nbytes, bool))

    @classmethod
    def empty(cls, name: str, shape: tuple[int, ...], kind: Any) -> Buffer:
        """Return a buffer that holds nothing yet."""
        held = np.zeros(shape, kind)
        return cls(name, held, np.zeros(held.nbytes, bool))


@dataclass(frozen=True)
class Access:
    """Threads that touch `size` bytes each at an address in a copy, and how many barriers they have behind them.

    A thread's number counts whole warps, those of a block one after the other.
    """

    threads: Numbers
    addresses: Numbers
    copies: Numbers | int
    size: int
    block_epochs: Numbers
    warp_epochs: Numbers


class _Touched:
    """The thread that last touched each byte, with its epochs, and how far from each other all since a barrier are."""

    LANES, WARPS, BLOCKS = 1, 2, 3  # one thread: 0

    def __init__(self, size: int, per_block: int) -> None:
        self._per_block = per_block
        self._thread = np.full(size, -1, np.int32)
        self._block_epoch, self._warp_epoch = np.zeros(size, np.int32), np.zeros(size, np.int32)
        self._spread = np.zeros(size, np.int8)

    def unordered(self, access: Access, at: Numbers) -> Flags:
        """Return for each byte whether another thread touched it with no barrier since."""
        last, spread = self._thread[at], self._spread[at]
        apart = self._apart(last, access.threads[:, None])
        by_block = (np.maximum(apart, spread) < self.BLOCKS) & (self._block_epoch[at] < access.block_epochs[:, None])
        by_warp = (np.maximum(apart, spread) < self.WARPS) & (self._warp_epoch[at] < access.warp_epochs[:, None])
        result: Flags = (last >= 0) & ((apart > 0) | (spread > 0)) & ~by_block & ~by_warp
        return result

    def note(self, access: Access, at: Numbers) -> None:
        """Write down that the threads of an access touched these bytes."""
        threads = np.broadcast_to(access.threads[:, None], at.shape)
        before = np.maximum(self._spread[at], self._apart(self._thread[at], threads))
        before = np.where(self.unordered(access, at), before, 0)
        self._thread[at] = threads
        self._block_epoch[at], self._warp_epoch[at] = access.block_epochs[:, None], access.warp_epochs[:, None]
        now = np.maximum(before, self._apart(self._thread[at], threads))
        self._spread[at] = 0
        np.maximum.at(self._spread, at, now)

    def shared(self, at: Numbers) -> Flags:
        """Return for each byte whether several threads touched it since the last barrier."""
        result: Flags = self._spread[at] > 0
        return result

    def _apart(self, one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.int8]:
        blocks = one // self._per_block != other // self._per_block
        apart: NDArray[np.int8] = (one != other).astype(np.int8) + (one // WARP != other // WARP) + blocks
        return apart


class Memory:
    """One state space; each copy of it (one for each block where it is shared) starts the same."""

    def __init__(self, space: str, buffers: list[Buffer], copies: int, per_block: int) -> None:
        self.space, self.buffers = space, buffers
        self._base = BASES.get(space, 0)
        rooms = [-(-buffer.array.nbytes // GAP) * GAP + GAP for buffer in buffers]
        self.starts = np.cumsum([GAP, *rooms])
        self.span = int(self.starts[-1])
        self._owner = np.zeros(self.span, np.int64)
        data, written = np.zeros((copies, self.span), np.uint8), np.zeros((copies, self.span), bool)
        for number, (buffer, part) in enumerate(zip(buffers, self._parts(), strict=True), start=1):
            self._owner[part] = number
            data[:, part] = buffer.array.reshape(-1).view(np.uint8)
            written[:, part] = buffer.written
        self._data, self._written = data.reshape(-1), written.reshape(-1)
        self._touched = {kind: _Touched(data.size, per_block) for kind in ("read", "write", "atomic write")}

    def address(self, buffer: Buffer) -> int:
        """Return where a buffer begins."""
        return self._base + int(self.starts[next(n for n, one in enumerate(self.buffers) if one is buffer)])

    def give_back(self) -> None:
        """Copy what the first copy holds into the arrays of the buffers."""
        for buffer, part in zip(self.buffers, self._parts(), strict=True):
            buffer.array.reshape(-1).view(np.uint8)[:] = self._data[part]
            buffer.written[:] = self._written[part]

    def load(self, access: Access) -> Bytes:
        """Return the bytes of each thread; raises where one was never written, or written by another unordered."""
        at = self._bytes(access)
        self._refuse(access, ~self._written[at], "a read of what nobody wrote")
        self._refuse_races(access, at, "read", "write", "atomic write")
        self._touched["read"].note(access, at)
        return self._data[at]

    def store(self, access: Access, values: Bytes) -> None:
        """Write the bytes of each thread; raises where another reads or writes the same unordered."""
        at = self._bytes(access)
        self._refuse_races(access, at, "write", "write", "read", "atomic write")
        self._data[at], self._written[at] = values, True
        self._touched["write"].note(access, at)
        self._refuse(access, self._touched["write"].shared(at), "a race: several threads write it at once")

    def update(self, access: Access, values: NDArray[Any], change: Callable[..., Any]) -> NDArray[Any]:
        """Change one number for each thread, one after the other, and return what was there before each change."""
        at = self._bytes(access)
        self._refuse(access, ~self._written[at], "a read of what nobody wrote")
        self._refuse_races(access, at, "atomic write", "write", "read")
        self._touched["atomic write"].note(access, at)
        before = np.empty_like(values)
        for number, (place, value) in enumerate(zip(at[:, 0], values, strict=True)):
            cell = self._data[place : place + access.size].view(values.dtype)
            before[number] = cell[0]
            cell[0] = change(cell[0], value)
        return before

    def _refuse_races(self, access: Access, at: Numbers, what: str, *others: str) -> None:
        for other in others:
            race = self._touched[other].unordered(access, at)
            self._refuse(access, race, f"a race: {what} with no barrier after another's {other}")

    def _parts(self) -> list[slice]:
        sizes = [buffer.array.nbytes for buffer in self.buffers]
        return [slice(int(start), int(start) + size) for start, size in zip(self.starts, sizes, strict=False)]

    def _bytes(self, access: Access) -> Numbers:
        """Return the indices of all bytes, a row for each thread; refuse what is not within one array, and aligned."""
        first = access.addresses - self._base
        nowhere = (first < 0) | (first + access.size > self.span)
        at = np.where(nowhere, 0, first)
        nowhere |= (self._owner[at] == 0) | (self._owner[at] != self._owner[at + access.size - 1])
        self._refuse(access, nowhere, "out of bounds")
        self._refuse(access, first % access.size != 0, "misaligned")
        indices: Numbers = (first + access.copies * self.span)[:, None] + np.arange(access.size)
        return indices

    def _refuse(self, access: Access, wrong: Flags, what: str) -> None:
        if not wrong.any():
            return
        faulty = np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))
        thread = int(faulty[0])
        raise FaultError(
            f"{what}: {access.size} bytes of {self.space} memory at {self._name(int(access.addresses[thread]))}, "
            f"by {len(faulty)} of {len(wrong)} threads",
            int(access.threads[thread]),
        )

    def _name(self, address: int) -> str:
        """Return an address as bytes from the nearest array that begins before it."""
        place = address - self._base
        number = int(np.searchsorted(self.starts[:-1], place, side="right")) - 1
        if number < 0:
            return f"address {address}"
        buffer = self.buffers[number]
        return f"{buffer.name}+{place - int(self.starts[number])} (it has {buffer.array.nbytes} bytes)"
