"""What every way through a loop of machine code has at least."""

from __future__ import annotations

import math
from collections.abc import Callable

from cuda_on_cpu.compiled.sass import Code, Line, Loop, count

Weight = Callable[[Line], float]


def least(code: Code, loop: Loop, marker: str, weight: Weight) -> float:
    """Return the least total weight of instructions that a thread meets in a loop, for each marker that it passes.

    Loops inside are passed once, and subroutines cost their call: a lower bound.
    """
    marks = [at for at in range(loop.first, loop.last + 1) if count((code.lines[at],), marker)]
    whole = _through(code, loop, marks, weight)
    if math.isfinite(whole):
        return whole / len(marks)
    return min(_through(code, loop, [mark], weight) for mark in marks)  # no way passes them all


def _through(code: Code, loop: Loop, marks: list[int], weight: Weight) -> float:
    """Return the least weight from a loop's begin past all marks, in order, to a jump back; infinite without a way."""
    backs = [at for at in range(loop.first, loop.last + 1) if loop.first in code.jumps(at)]
    total, start = weight(code.lines[loop.first]), loop.first
    for mark in marks:
        total, start = total + _distances(code, loop, start, weight)[mark], mark
    rest = _distances(code, loop, start, weight)
    return total + min((rest[at] for at in backs if at in rest), default=math.inf)


def _distances(code: Code, loop: Loop, start: int, weight: Weight) -> dict[int, float]:
    """Return the least weight of a way forward from `start`, which is not counted, to each instruction of a loop."""
    found = dict.fromkeys(range(loop.first, loop.last + 1), math.inf) | {start: 0.0}
    for at in range(start, loop.last + 1):
        for following in code.following(at):
            if at < following <= loop.last:
                found[following] = min(found[following], found[at] + weight(code.lines[following]))
    return found
