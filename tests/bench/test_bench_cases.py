from __future__ import annotations

import pytest
import torch
from bench.fake_clock import FakeClock

from sam_toolkit.bench.cases import Case, Contestant, SkipPeer, compare
from sam_toolkit.bench.records import Skipped, Work


def contestant(clock, name, seconds, units=1):
    return Contestant(name, clock.lasting(seconds, name), Work(units=units, bytes=8 * units))


def test_every_peer_comes_right_after_ours():
    clock = FakeClock()
    case = Case("case", "pair", contestant(clock, "ours", 1), "", [contestant(clock, name, 1) for name in "ab"])
    case.measure(1, clock.stopwatch())
    assert [name for name in clock.log if name != "finish"][-4:] == ["ours", "a", "ours", "b"]


def test_rows_tell_time_throughput_and_work_of_one_unit():
    clock = FakeClock()
    row = Case("case", "pair", contestant(clock, "ours", 2, units=4)).measure(3, clock.stopwatch()).rows[0]
    assert (row.samples, row.seconds, row.bandwidth, row.spread) == ((2.0, 2.0, 2.0), 0.5, 16.0, 0.0)


def test_a_peer_that_cannot_take_part_is_named_with_its_reason():
    def make():
        raise SkipPeer("it is too tired")

    clock = FakeClock()
    case = Case("case", "pair", contestant(clock, "ours", 1))
    case.invite("peer", make)
    found = case.measure(1, clock.stopwatch())
    assert found.skipped == (Skipped(contestant="peer", reason="it is too tired"),)
    assert [row.contestant for row in found.rows] == ["ours"]


@pytest.mark.parametrize(
    ("dtype", "difference", "holds"),
    [
        (torch.float32, 1e-5, True),
        (torch.float32, 1e-3, False),
        (torch.float64, 1e-5, False),
        (torch.float32, float("nan"), False),
    ],
)
def test_results_agree_within_the_rounding_of_their_dtype(dtype, difference, holds):
    ours = torch.full((3,), 0.5, dtype=dtype)
    assert compare(ours + torch.tensor([0, difference, 0]), ours, "ours").holds == holds
