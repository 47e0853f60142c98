from __future__ import annotations

import sys

import pytest
from bench.fake_clock import any_work

from sam_toolkit.bench import occlusion
from sam_toolkit.bench.settings import Settings


def tiny(**chosen):
    return Settings(**{"sizes": (22,), "patch": 6, "stride": 4, **chosen})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("stride", [4, 5, 6])
def test_every_way_gives_what_ours_gives(stride, dtype):
    found = list(occlusion.cases(tiny(stride=stride, dtypes=(dtype,)), 1, any_work()))
    agreements = [one.agreement for case in found for one in case.peers if one.agreement]
    assert len(found) == 5
    assert len(agreements) >= 2 + 2 + 1 + 2
    assert all(one.holds for one in agreements)


@pytest.mark.parametrize(("stride", "skipped"), [(6, []), (4, ["captum FeatureAblation"])])
def test_captum_gives_our_map_of_patches_that_the_border_cuts_off(stride, skipped):
    pytest.importorskip("captum")
    *_, case = occlusion.cases(tiny(stride=stride), 1, any_work())
    assert all(peer.agreement.holds for peer in case.peers)
    assert [one.contestant for one in case.skipped] == skipped
    assert len(case.peers) == 2 - len(skipped)


def test_the_map_that_captum_must_give_is_not_flat():
    whole = occlusion.scene(occlusion.torch.rand(1, 3, 22, 22), 6, 4)
    assert occlusion._slide(whole, occlusion.Pixels(6), 3).unique().numel() > 10


def test_a_scene_covers_every_pixel_and_leaves_the_image_nowhere():
    boxes = occlusion.scene(occlusion.torch.zeros(1, 3, 22, 15), 6, 4).boxes
    assert boxes[:, 3].max() == 22
    assert boxes[:, 4].max() == 15
    assert len(boxes) == 5 * 4
    assert (boxes[-1, 1:] == occlusion.torch.tensor([16, 12, 22, 15])).all()


def test_copies_write_as_many_bytes_as_ours():
    for case in list(occlusion.cases(tiny(), 1, any_work()))[:3]:
        ours = case.ours.call()
        assert case.ours.work.bytes == ours.numel() * 4
        assert [peer.work for peer in case.peers] == [case.ours.work] * len(case.peers)
        assert all((peer.call() == ours).all() for peer in case.peers)


def test_a_missing_captum_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    *_, case = occlusion.cases(tiny(), 1, any_work())
    assert [one.contestant for one in case.skipped] == ["captum Occlusion", "captum FeatureAblation"]
    assert all("sam-toolkit[bench]" in one.reason for one in case.skipped)
