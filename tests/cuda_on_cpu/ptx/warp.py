"""Instructions by which the lanes of a warp act together: they wait for the lanes that their mask names."""

from __future__ import annotations

import numpy as np
from cuda_on_cpu.ptx.arithmetic import Values
from cuda_on_cpu.ptx.memory import WARP, FaultError, Flags, Numbers
from cuda_on_cpu.ptx.program import Instruction, UnsupportedError
from cuda_on_cpu.ptx.threads import Threads


def together(one: Instruction) -> bool:
    """Return whether an instruction waits for other lanes."""
    return "sync" in one.modifiers and (one.opcode in {"shfl", "vote"} or one.modifiers[:2] == ("warp", "sync"))


def mask(one: Instruction, threads: Threads, group: Numbers) -> Numbers:
    """Return the lanes that each thread of a group says come along."""
    values = threads.read(one.operands[-1], "b32", group).astype(np.int64)
    own = values >> (group % WARP) & 1
    if not own.all():
        at = int(np.flatnonzero(own == 0)[0])
        raise FaultError(f"a lane outside its own mask {int(values[at]):#010x}", int(group[at]))
    return values


def complete(masks: Numbers, group: Numbers) -> Flags:
    """Return for each waiting thread whether all lanes that its mask names wait with the same mask."""
    warps, index = np.unique(group // WARP, return_inverse=True)
    by_lane = np.full((len(warps), WARP), -1)
    by_lane[index, group % WARP] = masks
    named = (masks[:, None] >> np.arange(WARP) & 1).astype(bool)
    theirs = by_lane[index]
    different = named & (theirs >= 0) & (theirs != masks[:, None])
    if different.any():
        at = int(np.flatnonzero(different.any(axis=1))[0])
        other = int(theirs[at][different[at]][0])
        raise FaultError(f"lanes name different masks: {int(masks[at]):#010x} and {other:#010x}", int(group[at]))
    return np.asarray((~named | (theirs >= 0)).all(axis=1))


def execute(one: Instruction, threads: Threads, group: Numbers) -> None:
    """Let lanes whose masks are complete act together."""
    if one.opcode == "shfl":
        _shuffle(one, threads, group)
    elif one.opcode == "vote":
        _vote(one, threads, group)


def _shuffle(one: Instruction, threads: Threads, group: Numbers) -> None:
    """Give each lane the value of another, or its own where that lies outside its part of the warp."""
    target, source, offset, limits, members = one.operands
    lane = group % WARP
    by = threads.read(offset, "b32", group).astype(np.int64) & 31
    packed = threads.read(limits, "b32", group).astype(np.int64)
    clamp, part = packed & 31, packed >> 8 & 31
    highest, lowest = (lane & part) | (clamp & ~part), lane & part
    mode = one.modifiers[-1]
    picked = {"up": lane - by, "down": lane + by, "bfly": lane ^ by, "idx": lowest | (by & ~part)}[mode]
    valid = picked >= highest if mode == "up" else picked <= highest
    picked = np.where(valid, picked, lane)
    masks = threads.read(members, "b32", group).astype(np.int64)
    outside = (masks >> picked & 1) == 0
    if outside.any():
        at = int(np.flatnonzero(outside)[0])
        raise FaultError(
            f"lane {int(lane[at])} reads lane {int(picked[at])}, which its mask leaves out", int(group[at])
        )
    values = threads.read(source, "b32", group - lane + picked)
    register, _, predicate = str(target).partition("|")
    threads.write(register, values, group)
    if predicate:
        threads.write(predicate, valid, group)


def _vote(one: Instruction, threads: Threads, group: Numbers) -> None:
    """Write whether all or any lanes of a mask say yes, or which."""
    target, source, members = one.operands
    says = threads.read(str(source).lstrip("!"), "pred", group) ^ str(source).startswith("!")
    masks = threads.read(members, "b32", group).astype(np.int64)
    warps, index = np.unique(group // WARP, return_inverse=True)
    ballots = np.zeros(len(warps), np.int64)
    np.bitwise_or.at(ballots, index, says.astype(np.int64) << group % WARP)
    yes = ballots[index] & masks
    results: dict[str, Values] = {"all": yes == masks, "any": yes != 0, "ballot": yes.astype(np.uint32)}
    mode = next((name for name in one.modifiers if name in results), None)
    if mode is None:
        raise UnsupportedError(f"a vote that the interpreter does not know: {one}")
    threads.write(target, results[mode], group)
