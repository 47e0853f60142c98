from __future__ import annotations

import pytest
from bench.fake_clock import any_work

from sam_toolkit.bench import lens
from sam_toolkit.bench.settings import Settings


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_way_gives_what_ours_gives(dtype):
    settings = Settings(operators=("lens",), sizes=(24,), maps=(4,), dtypes=(dtype,), peer_pairs=5)
    found = list(lens.cases(settings, 1, any_work()))
    agreements = [peer.agreement for case in found for peer in case.peers if peer.agreement]
    assert len(found) == 7
    assert len(agreements) == 7
    assert all(one.holds for one in agreements)


def test_the_family_has_a_value_for_each_metric_window_and_kind_of_set():
    settings = Settings(operators=("lens",), sizes=(24,), maps=(4,))
    case = next(case for case in lens.cases(settings, 1, any_work()) if case.name.startswith("Top-k"))
    assert case.ours.call().shape == (2 * 3 * 3, 6)
    assert case.ours.work.units == 6
