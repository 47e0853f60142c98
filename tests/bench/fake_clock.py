"""A clock that only calls move."""

from __future__ import annotations

from sam_toolkit.bench.timing import Stopwatch


class FakeClock:
    """Stands still until a call that `lasting` made runs; `log` has the names of calls in their order."""

    def __init__(self):
        self.now = 0.0
        self.log = []

    def lasting(self, seconds, name="", result=None):
        def call():
            self.now += seconds
            self.log.append(name)
            return result

        return call

    def stopwatch(self, shortest=0.0):
        return Stopwatch(lambda: self.log.append("finish"), lambda: self.now, shortest)


def any_work():
    """Return a stopwatch on which every call lasts a second, whatever it does."""
    ticks = iter(range(10**9))
    return Stopwatch(clock=lambda: float(next(ticks)))
