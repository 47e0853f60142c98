"""What each library gives is what ours gives in its convention; the libraries that are not installed are skipped."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace

import pytest
import torch
from bench.fake_clock import any_work

from sam_toolkit.bench import ssim
from sam_toolkit.bench.plain_ssim import Window
from sam_toolkit.bench.settings import WINDOWS, Settings
from sam_toolkit.bench.ssim_peers import PEERS

ON_CPU = {peer.name: peer for peer in PEERS if not peer.gpu_only}


def tiny(**chosen):
    return Settings(**{"maps": (4,), "growth": (2, 3), "sizes": (24,), "peer_pairs": 5, **chosen})


def first_case(settings):
    return next(ssim.cases(settings, 1, any_work()))


@pytest.fixture(params=ON_CPU)
def installed(request):
    pytest.importorskip(ON_CPU[request.param].module)
    return request.param


@pytest.mark.filterwarnings("default")  # what other libraries warn about is theirs
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("window", WINDOWS)
def test_every_peer_gives_what_ours_gives_in_its_convention(installed, window, dtype):
    case = first_case(tiny(windows=(window,), dtypes=(dtype,)))
    found = {peer.name: peer for peer in case.peers}
    assert found[installed].agreement.holds
    assert found["plain torch, cached"].agreement.holds


@pytest.mark.parametrize("wrong", [{"sample_covariance": False}, {"mirrored": True}, {"always_gaussian": True}])
def test_another_convention_shows(monkeypatch, wrong):
    monkeypatch.setattr(ssim, "PEERS", (replace(ON_CPU["scikit-image"], **wrong),))
    [peer, _] = first_case(tiny(windows=("5",))).peers
    assert not peer.agreement.holds


def test_peers_get_a_sample_of_the_pairs_and_ours_and_the_cached_form_get_all():
    case = first_case(tiny())
    units = {one.name: one.work.units for one in (case.ours, *case.peers)}
    assert units.pop("sam_toolkit") == units.pop("plain torch, cached") == 6
    assert set(units.values()) == {5}


def test_work_counts_the_bytes_of_both_maps():
    assert first_case(tiny()).ours.work.bytes == 6 * 2 * 24 * 24 * 4


def test_a_library_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "piq", None)
    reasons = {one.contestant: one.reason for one in first_case(tiny()).skipped}
    assert "pip install 'sam-toolkit[bench]'" in reasons["piq"]
    assert reasons["fused-ssim"] == "it runs on GPUs only"


def test_the_gpus_peer_is_asked_only_for_what_it_can_do():
    fused = next(peer for peer in PEERS if peer.gpu_only)
    with pytest.raises(ssim.SkipPeer, match="Gaussian window and float32 only"):
        fused.load("cuda", Window("5"), torch.float32)


def test_a_growing_stack_is_one_case_with_all_of_its_pairs():
    *_, growing = ssim.cases(tiny(), 1, any_work())
    assert [one.work.units for one in (growing.ours, *growing.peers)] == [1, 3]


def test_every_peer_names_a_module_or_attribute_that_exists(installed):
    assert importlib.import_module(ON_CPU[installed].module)
