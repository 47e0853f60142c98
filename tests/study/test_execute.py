"""Runs: resumable, the same whatever the workers, images and interruptions; failures lose nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from nets import colour_net, grey_net
from safetensors.torch import load_file
from study.small import STUDY, images, small_run
from torch import nn
from torchvision.models import VisionTransformer

from sam_toolkit import ModelError, SpecError, ops, run
from sam_toolkit.study.execute import Quiet
from sam_toolkit.study.store import Store


class Watch(Quiet):
    """Keeps what a run said."""

    def __init__(self):
        self.outcomes = []
        self.left = None
        self.rows = {}

    def begin(self, tasks, plan):
        self.left = len(tasks)

    def under_way(self, task, rows):
        assert rows > self.rows.get(task.id, 0)
        self.rows[task.id] = rows

    def advance(self, outcome):
        self.outcomes.append(outcome)


def stored(folder):
    """Return every map of a store by key."""
    return {
        key: value
        for path in sorted(Path(folder).glob("maps/*/*.safetensors"))
        for key, value in load_file(path).items()
    }


def numbers(results):
    """Return what a run found, without what differs from run to run (times)."""
    return [repr(item) for item in (*results.rows, *results.values, *results.sensitivities)]


def test_rows_are_told_as_they_are_done(tmp_path):
    watch = Watch()
    small_run(tmp_path, progress=watch)
    assert watch.rows == {outcome.task.id: outcome.rows.forward for outcome in watch.outcomes}


def test_a_second_run_computes_nothing_and_finds_the_same(tmp_path):
    first, second = Watch(), Watch()
    found = small_run(tmp_path, progress=first)
    net = colour_net()
    calls = []
    net.register_forward_hook(lambda *_: calls.append(1))
    again = small_run(tmp_path, progress=second, models={"net": net})
    assert first.left > 0
    assert second.left == 0
    assert not calls
    assert numbers(found) == numbers(again)


def test_worker_processes_find_what_one_process_finds(tmp_path):
    alone = small_run(tmp_path / "alone")
    workers = small_run(tmp_path / "workers", workers=2)
    assert not workers.failures
    mine, theirs = stored(tmp_path / "alone"), stored(tmp_path / "workers")
    assert mine.keys() == theirs.keys()
    for key, value in mine.items():
        torch.testing.assert_close(theirs[key], value, rtol=0, atol=1e-5 * float(value.abs().max()))
    for a, b in zip(alone.rows, workers.rows, strict=True):
        assert replace(a, score=0) == replace(b, score=0)
        assert a.score == pytest.approx(b.score, abs=1e-4, nan_ok=True)


def test_images_do_not_depend_on_their_company(tmp_path):
    small_run(tmp_path / "all")
    small_run(tmp_path / "one", images=images()[1:2])
    together, alone = stored(tmp_path / "all"), stored(tmp_path / "one")
    assert alone.keys() < together.keys()
    for key, value in alone.items():
        torch.testing.assert_close(together[key], value, rtol=0, atol=1e-5 * float(value.abs().max()))


def test_a_study_goes_through_the_compiled_operators(tmp_path):
    if not ops.status()[0].loaded:
        pytest.skip(f"compiled operators: {ops.status()[0].reason}")
    ops.reset_calls()
    small_run(tmp_path)
    calls = ops.calls()
    assert calls["ssim"]["cpu"] > 0
    assert calls["assemble"]["cpu"] > 0
    assert calls["ssim"]["reference"] == calls["assemble"]["reference"] == 0


def test_a_damaged_map_file_is_computed_again(tmp_path):
    found = small_run(tmp_path)
    victim = sorted(tmp_path.glob("maps/*/*.safetensors"))[0]
    victim.write_bytes(victim.read_bytes()[:-50])
    watch = Watch()
    again = small_run(tmp_path, progress=watch)
    assert watch.left == 1
    assert numbers(found) == numbers(again)


class Brittle(nn.Module):
    """Gives NaN for bright images."""

    def __init__(self):
        super().__init__()
        self.net = colour_net()

    def forward(self, inputs):
        logits = self.net(inputs)
        return torch.where(inputs.mean(dim=(1, 2, 3))[:, None] > 0.75, torch.nan, logits)


def test_a_model_that_gives_nan_is_refused_before_any_work(tmp_path):
    with pytest.raises(ModelError, match=r"'net' gave .* not finite"):
        small_run(tmp_path, models={"net": Brittle()}, images=images() * 0 + 0.9)
    assert not stored(tmp_path)


def test_a_failed_group_is_recorded_and_the_rest_goes_on(tmp_path):
    bright = {
        "methods": ["gradient", {"sliding-patch": {"patch": [8, 31], "stride": 1, "fill": 1.0}}],
        "inputs": ["clean"],
        "compare": [{"along": "settings", "metrics": ["ssim"]}],
    }
    found = small_run(tmp_path, bright, models={"net": Brittle()})
    assert {failure.method for failure in found.failures} == {"sliding-patch"}
    assert "not finite" in found.failures[0].error
    assert len(stored(tmp_path)) == 3
    mended = small_run(tmp_path, {**bright, "methods": ["gradient"]}, models={"net": Brittle()})
    assert not mended.failures


def test_another_model_than_an_imagenet_classifier_runs(tmp_path):
    grey = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    changes = {"compare": [{"along": "settings", "metrics": ["ssim", "spearman", "hog"]}]}
    found = small_run(tmp_path, changes, models={"net": grey_net()}, images=grey, targets=[3, 9])
    assert not found.failures
    assert {row.metric for row in found.rows} == {"ssim", "spearman", "hog"}


def test_a_vision_transformer_runs(tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=10)
        nn.init.normal_(net.heads[-1].weight)
    found = small_run(tmp_path, models={"net": net})
    assert not found.failures
    assert all(item.index.count for item in found.sensitivities)


@pytest.mark.parametrize("device", ["cuda:77", "quantum"])
def test_a_device_that_is_not_there_is_refused(tmp_path, device):
    with pytest.raises(SpecError, match=rf"Device '{device}' cannot be used.*auto"):
        small_run(tmp_path, device=device)


def test_the_report_of_a_run_counts_its_rows(tmp_path):
    found = small_run(tmp_path)
    with Store.open(tmp_path) as store:
        rows, _ = store.cost(set(stored(tmp_path)))
    assert found.cost["network rows computed"] == f"{rows:,}"


RUN = """
import sys
sys.path.insert(0, "tests")
from pathlib import Path
from study.small import small_run
small_run(Path(sys.argv[1]), {"reruns": 3})
"""


def test_a_run_killed_at_random_ends_with_the_same_store(tmp_path):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", RUN, str(tmp_path / "killed")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    whole = small_run(tmp_path / "whole", {"reruns": 3})
    chance = random.Random(7)
    for _ in range(5):
        child = subprocess.Popen(command, cwd=root, env=environment)
        _wait_for_maps(tmp_path / "killed", child, chance)
        child.send_signal(signal.SIGKILL)
        child.wait()
    subprocess.run(command, cwd=root, env=environment, check=True)
    resumed = small_run(tmp_path / "killed", {"reruns": 3})
    left, right = stored(tmp_path / "whole"), stored(tmp_path / "killed")
    assert left.keys() == right.keys()
    assert numbers(whole) == numbers(resumed) or all(
        abs(a.score - b.score) < 1e-4 for a, b in zip(whole.rows, resumed.rows, strict=True)
    )


def _wait_for_maps(folder, child, chance):
    """Wait until the child has written a few more files, and then a random moment."""
    before = len(list(folder.glob("maps/*/*.safetensors")))
    deadline = time.monotonic() + 60
    while child.poll() is None and time.monotonic() < deadline:
        if len(list(folder.glob("maps/*/*.safetensors"))) > before + chance.randrange(2):
            break
        time.sleep(0.005)
    time.sleep(chance.random() * 0.05)


def test_a_study_given_as_a_mapping_and_as_a_file_is_the_same(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(STUDY))
    given = {"models": {"net": colour_net()}, "images": images()}
    assert numbers(run(path, tmp_path / "a", **given)) == numbers(run(STUDY, tmp_path / "b", **given))
