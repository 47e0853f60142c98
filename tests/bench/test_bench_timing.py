from __future__ import annotations

import pytest
from bench.fake_clock import FakeClock

from sam_toolkit.bench.timing import race


@pytest.fixture
def clock():
    return FakeClock()


def test_every_round_runs_all_in_the_same_order(clock):
    order = [(name, clock.lasting(1, name)) for name in ("ours", "a", "ours", "b")]
    samples = race(order, 2, clock.stopwatch())
    assert [name for name in clock.log if name != "finish"][-8:] == ["ours", "a", "ours", "b"] * 2
    assert {name: len(found) for name, (_, found) in samples.items()} == {"ours": 4, "a": 2, "b": 2}


def test_samples_are_seconds_a_call_whatever_many_calls_they_take(clock):
    order = [("long", clock.lasting(0.5)), ("short", clock.lasting(0.125))]
    assert race(order, 3, clock.stopwatch(shortest=0.3)) == {"long": (1, [0.5] * 3), "short": (3, [0.125] * 3)}


def test_the_device_is_done_before_and_after_a_sample(clock):
    clock.stopwatch().seconds(clock.lasting(1, "call"), 2)
    assert clock.log == ["finish", "call", "call", "finish"]


def test_the_first_call_is_in_no_sample(clock):
    calls = iter([clock.lasting(seconds) for seconds in (100.0, 2.0, 2.0, 2.0)])

    def call():
        next(calls)()

    assert race([("one", call)], 2, clock.stopwatch()) == {"one": (1, [2.0, 2.0])}


def test_the_quickest_is_the_one_with_the_shortest_time(clock):
    times = {1: iter([9.0, 3.0]), 8: iter([4.0, 5.0])}
    calls = {key: lambda found=found: clock.lasting(next(found))() for key, found in times.items()}
    assert clock.stopwatch().quickest(calls) == 1
