"""Runs a kernel of PTX: all threads at once, those that are furthest behind first, so that branches meet again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from cuda_on_cpu.ptx import arithmetic, warp
from cuda_on_cpu.ptx.access import Epochs, Memories
from cuda_on_cpu.ptx.counts import Counts
from cuda_on_cpu.ptx.memory import WARP, Buffer, FaultError, KernelError, Numbers
from cuda_on_cpu.ptx.program import Instruction, Kernel, UnsupportedError
from cuda_on_cpu.ptx.threads import Threads

Argument = Buffer | np.generic | tuple["Argument", ...]
READY, AT_BARRIER, AT_WARP, DONE = range(4)
_NOWHERE = np.iinfo(np.int64).max


def launch(kernel: Kernel, grid: Sequence[int], block: Sequence[int], arguments: Sequence[Argument]) -> Counts:
    """Run a kernel and return its counts; buffers among the arguments then hold what it wrote.

    A struct is a tuple of its fields. Raises KernelError for what no kernel may do, and UnsupportedError for
    an instruction that the interpreter does not know.
    """
    threads = Threads(kernel, grid, block)
    memories = Memories(kernel, threads, list(_buffers(arguments)))
    memories.parameters(_parameters(kernel, arguments, memories))
    machine = _Machine(kernel, threads, memories)
    machine.run()
    memories.spaces["global"].give_back()
    return machine.counts


class _Machine:
    def __init__(self, kernel: Kernel, threads: Threads, memories: Memories) -> None:
        self.counts = Counts()
        self._code, self._threads, self._memories = kernel.code, threads, memories
        self._at = np.zeros(threads.count, np.int64)
        self._state = np.where(threads.exist, READY, DONE)
        self._epochs = Epochs(np.zeros(threads.count, np.int64), np.zeros(threads.count, np.int64))

    def run(self) -> None:
        """Run until every thread is done."""
        while True:
            ready = np.flatnonzero(self._state == READY)
            if len(ready):
                places = self._at[ready]
                first = int(places.min())
                later = places[places > first]
                self._advance(ready[places == first], first, int(later.min()) if len(later) else _NOWHERE)
            elif not self._pass_barriers():
                break
        self._refuse_stuck()

    def _advance(self, group: Numbers, at: int, meet: int) -> None:
        """Run a group of threads until it branches, waits, ends or reaches the place where others wait for it."""
        warps = len(np.unique(group // WARP))
        while at < meet:
            one = self._code[at]
            self.counts.opcodes[one.opcode] += warps
            try:
                if self._control(one, group, at):
                    return
                self._execute(one, self._guarded(one, group))
            except FaultError as fault:
                raise KernelError(f"{one}: {fault.what}; {self._threads.describe(fault.thread)}") from fault
            at += 1
        self._at[group] = at

    def _control(self, one: Instruction, group: Numbers, at: int) -> bool:
        """Run what decides where threads go on; returns whether the instruction is of this sort."""
        waits = warp.together(one)
        if one.opcode not in {"bra", "ret", "exit", "bar", "barrier"} and not waits:
            return False
        acting = self._guarded(one, group)
        self._at[group] = at + 1
        if waits:
            self._at[acting] = at
            self._state[acting] = AT_WARP
            self._meet_in_warps(one, at)
        elif one.opcode == "bra":
            self._at[acting] = one.target
        elif one.opcode in {"ret", "exit"}:
            self._state[acting] = DONE
        elif one.modifiers == ("sync",) and len(one.operands) == 1:
            self._state[acting] = AT_BARRIER
        else:
            raise UnsupportedError(f"a barrier that the interpreter does not know: {one}")
        return True

    def _guarded(self, one: Instruction, group: Numbers) -> Numbers:
        if not one.guard:
            return group
        acting: Numbers = group[self._threads.read(one.guard, "pred", group) == one.guard_wanted]
        return acting

    def _execute(self, one: Instruction, group: Numbers) -> None:
        if not len(group):
            return
        if one.opcode == "ld":
            self._memories.load(one, group, self._epochs, self.counts)
        elif one.opcode == "st":
            self._memories.store(one, group, self._epochs, self.counts)
        elif one.opcode in {"atom", "red"}:
            self._memories.update(one, group, self._epochs, self.counts)
        elif one.opcode == "mov":
            self._move(one, group)
        elif one.opcode == "activemask":
            lanes = (group[:, None] // WARP == group // WARP) @ (1 << group % WARP)
            self._threads.write(one.operands[0], lanes.astype(np.uint32), group)
        else:
            kind, kinds = arithmetic.signature(one)
            values = [self._threads.read(*pair, group) for pair in zip(one.operands[1:], kinds, strict=True)]
            result = arithmetic.compute(one, values)
            self._threads.write(one.operands[0], result.astype(arithmetic.KINDS[kind], copy=False), group)

    def _move(self, one: Instruction, group: Numbers) -> None:
        """Copy a register, an address of a variable, or the parts of one into the other's whole."""
        target, source = one.operands
        kind = one.kinds[-1]
        if isinstance(source, tuple):
            part = f"b{8 * arithmetic.KINDS[kind].itemsize // len(source)}"
            parts = np.stack([self._threads.read(one, part, group) for one in source], axis=1)
            values = parts.view(arithmetic.KINDS[kind])[:, 0]
        elif source in self._memories.symbols:
            values = np.full(len(group), self._memories.symbols[str(source)], arithmetic.KINDS[kind])
        else:
            values = self._threads.read(source, kind, group)
        if not isinstance(target, tuple):
            self._threads.write(target, values, group)
            return
        part = f"b{8 * values.dtype.itemsize // len(target)}"
        columns = values.reshape(-1, 1).view(arithmetic.KINDS[part])
        for number, register in enumerate(target):
            if register != "_":
                self._threads.write(register, columns[:, number], group)

    def _meet_in_warps(self, one: Instruction, at: int) -> None:
        """Let those lanes go on whose whole mask has come to this instruction."""
        waiting = np.flatnonzero((self._state == AT_WARP) & (self._at == at))
        masks = warp.mask(one, self._threads, waiting)
        met = waiting[warp.complete(masks, waiting)]
        if len(met):
            warp.execute(one, self._threads, met)
            if one.opcode == "bar":
                self._epochs.warp[met] += 1
            self._state[met], self._at[met] = READY, at + 1

    def _pass_barriers(self) -> bool:
        """Let those blocks go on all of whose threads wait at one barrier; returns whether there are any."""
        blocks = self._threads.block_of
        absent = ~self._threads.exist
        passed = False
        for block in np.unique(blocks[self._state == AT_BARRIER]):
            members = np.flatnonzero((blocks == block) & ~absent)
            if (self._state[members] == AT_BARRIER).all() and len(np.unique(self._at[members])) == 1:
                self._state[members] = READY
                self._epochs.block[members] += 1
                passed = True
        return passed

    def _refuse_stuck(self) -> None:
        stuck = np.flatnonzero(self._state != DONE)
        if not len(stuck):
            return
        members = np.flatnonzero((self._threads.block_of == self._threads.block_of[stuck[0]]) & self._threads.exist)
        reports = [f"{(self._state[members] == DONE).sum()} threads have returned"]
        for state, what, back in ((AT_BARRIER, "at the barrier", 1), (AT_WARP, "for other lanes", 0)):
            for place in np.unique(self._at[members[self._state[members] == state]]):
                here = members[(self._state[members] == state) & (self._at[members] == place)]
                reports.append(f"{len(here)} wait {what} {self._code[place - back]}{self._lanes(here, state)}")
        raise KernelError(f"threads wait for others that never come: {'; '.join(reports)}")

    def _lanes(self, waiting: Numbers, state: int) -> str:
        if state != AT_WARP:
            return ""
        first = waiting[waiting // WARP == waiting[0] // WARP]
        arrived = sum(1 << int(lane) for lane in first % WARP)
        return f", in {self._threads.describe(int(first[0]))}'s warp lanes {arrived:#010x}"


def _buffers(arguments: Sequence[Argument]) -> list[Buffer]:
    found: list[Buffer] = []
    for argument in arguments:
        more = _buffers(argument) if isinstance(argument, tuple) else [argument]
        found += [one for one in more if isinstance(one, Buffer) and all(one is not other for other in found)]
    return found


def _parameters(kernel: Kernel, arguments: Sequence[Argument], memories: Memories) -> dict[str, bytes]:
    if len(arguments) != len(kernel.parameters):
        raise KernelError(f"{kernel.name} takes {len(kernel.parameters)} arguments; got {len(arguments)}")
    found = {}
    for (name, size), argument in zip(kernel.parameters, arguments, strict=True):
        found[name] = _packed(argument, memories)[0]
        if len(found[name]) != size:
            raise KernelError(f"{name} has {size} bytes; the argument has {len(found[name])}")
    return found


def _packed(argument: Argument, memories: Memories) -> tuple[bytes, int]:
    """Return an argument's bytes as C lays them out, and its alignment."""
    if isinstance(argument, Buffer):
        argument = np.uint64(memories.spaces["global"].address(argument))
    if isinstance(argument, np.generic):
        return argument.tobytes(), argument.itemsize
    data, widest = b"", 1
    for part in argument:
        packed, align = _packed(part, memories)
        data += b"\0" * (-len(data) % align) + packed
        widest = max(widest, align)
    return data + b"\0" * (-len(data) % widest), widest
