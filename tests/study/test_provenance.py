from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from sam_toolkit import GaussianNoise, run
from sam_toolkit.registry import default_registry
from sam_toolkit.study import provenance


def test_versions_of_distributions_need_no_list_of_all_installed_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> dict[str, list[str]]:
        raise AssertionError("the list was read")

    monkeypatch.setattr(provenance, "_distributions", refuse)
    assert provenance._version("torch") == importlib.metadata.version("torch")


def test_a_package_of_another_name_than_its_distribution_has_the_version_of_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(provenance, "_distributions", lambda: {"skimage": ["scikit-image", "other"]})
    assert provenance._version("skimage") == importlib.metadata.version("scikit-image")
    assert provenance._version("no_such_package") == "not packaged"


class OwnNoise(GaussianNoise):
    """Noise of a stranger's."""

    name = "own-noise"


def test_a_plugin_that_changes_images_is_among_what_made_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "_distributions", dict)
    study = {"inputs": ["clean", "own-noise"], "methods": ["gradient"], "random-maps": 1}
    registry = default_registry(plugins=False).extended(OwnNoise)
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 4)).eval()
    found = run(study, tmp_path, models={"net": net}, images=torch.rand(1, 3, 8, 8), registry=registry).provenance
    assert found["plugin test_provenance"] == "not packaged"


def test_a_plugin_is_called_as_a_study_pins_it() -> None:
    assert provenance._distribution("sam_toolkit") == ("sam-toolkit", importlib.metadata.version("sam-toolkit"))


def test_results_say_how_the_network_ran_and_what_a_coarse_precision_costs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4)).eval()
    study = {"methods": [{"smoothgrad": {"samples": [2, 3]}}], "reruns": 1, "random-maps": 1, "seed": 1}
    found = [
        run(study | given, tmp_path, models={"net": net}, images=torch.rand(2, 3, 8, 8)).provenance["model net"]
        for given in ({}, {"precision": "bfloat16"})
    ]
    assert found[0].endswith(", run 1 batch norm folded, channels last")
    off = re.search(r", in bfloat16, its logits off by up to (.*)% of their range$", found[1])
    assert off
    assert 0.05 < float(off[1]) < 5
