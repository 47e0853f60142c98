"""Samples of how long calls take, taken in turns, so that what disturbs the machine disturbs all alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Call = Callable[[], object]
_TRIES = 2


@dataclass(frozen=True)
class Stopwatch:
    """Times calls: `finish` waits until a device has done its work; a sample lasts at least `shortest` seconds."""

    finish: Callable[[], object] = lambda: None
    clock: Callable[[], float] = time.perf_counter
    shortest: float = 0.02

    def seconds(self, call: Call, calls: int = 1) -> float:
        """Return the mean time of so many calls in a row."""
        self.finish()
        begun = self.clock()
        for _ in range(calls):
            call()
        self.finish()
        return (self.clock() - begun) / calls

    def calls(self, call: Call) -> int:
        """Return how many calls last long enough, after one that nobody times."""
        self.seconds(call)
        once = self.seconds(call)
        return max(1, math.ceil(self.shortest / once)) if once > 0 else 1

    def quickest(self, candidates: dict[int, Call]) -> int:
        """Return the key of the call whose shorter time of two is the shortest of all."""
        times = {key: min(self.seconds(call) for _ in range(_TRIES)) for key, call in candidates.items()}
        return min(times, key=times.__getitem__)


def race(order: Sequence[tuple[str, Call]], rounds: int, stopwatch: Stopwatch) -> dict[str, tuple[int, list[float]]]:
    """Return the calls a sample takes and the samples of each name, round after round in this order.

    A name may stand in the order more than once, and then has as many samples in each round.
    """
    calls = {name: stopwatch.calls(call) for name, call in dict(order).items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in order:
            samples[name].append(stopwatch.seconds(call, calls[name]))
    return {name: (calls[name], found) for name, found in samples.items()}
