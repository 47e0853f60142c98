"""Model perturbations in a study: changed copies of its models, compared with their originals."""

from __future__ import annotations

import pytest
import torch
import toys
from nets import colour_net
from study.small import images, small_run

from sam_toolkit import Gradient, WeightNoise
from sam_toolkit.errors import ComponentError
from sam_toolkit.registry import default_registry

NOISY = ["net, weight-noise sigma=0.01", "net, weight-noise sigma=0.3"]
STUDY = {
    "methods": ["gradient"],
    "inputs": ["clean"],
    "model-perturbations": [{"weight-noise": {"sigma": [0.01, 0.3]}}],
    "compare": [{"along": "models", "with": "original", "metrics": ["spearman"]}],
}


def scores(results):
    return {(row.model, row.image): row.score for row in results.rows if row.role == "value"}


def test_each_changed_model_is_compared_with_its_original(tmp_path):
    found = scores(small_run(tmp_path, STUDY))
    assert {model for model, _ in found} == set(NOISY)
    assert all(found[NOISY[0], f"image {image}"] > found[NOISY[1], f"image {image}"] for image in range(3))


def test_two_models_are_changed_and_each_copy_goes_with_its_own(tmp_path):
    models = {"net": colour_net(), "twin": colour_net(1)}
    results = small_run(tmp_path, {**STUDY, "models": list(models)}, models=models, targets=[0, 1, 2])
    names = ["net", "twin", *NOISY, *(name.replace("net", "twin") for name in NOISY)]
    assert list(results.models) == names
    assert {(row.model, row.reference) for row in results.rows if row.role == "value"} == {
        (name, name.partition(",")[0]) for name in names[2:]
    }


def test_the_score_is_that_of_maps_made_by_hand_of_the_class_that_the_original_predicts(tmp_path):
    found = scores(small_run(tmp_path, STUDY))
    targets = colour_net()(images()).argmax(dim=1)
    noisy = WeightNoise(sigma=0.3)(colour_net(), seed=3)
    maps = [Gradient()(network, images(), targets) for network in (colour_net(), noisy)]
    ranks = [each.flatten(1).argsort(1).argsort(1).double() for each in maps]
    by_hand = [float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in zip(*ranks, strict=True)]
    assert [found[NOISY[1], f"image {image}"] for image in range(3)] == pytest.approx(by_hand, abs=1e-5)


def test_workers_change_models_as_this_process_does(tmp_path):
    here, there = (scores(small_run(tmp_path / str(workers), STUDY, workers=workers)) for workers in (0, 1))
    assert here == there


def test_a_study_with_another_seed_has_other_noise(tmp_path):
    first, second = (scores(small_run(tmp_path / str(seed), {**STUDY, "seed": seed})) for seed in (3, 4))
    assert first != second


def test_a_change_that_does_not_fit_the_network_is_told(tmp_path):
    study = {**STUDY, "model-perturbations": [{"weight-randomization": {"layers": 9}}]}
    with pytest.raises(ComponentError, match="'net' has 3 layers with weights; got 9"):
        small_run(tmp_path, study)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("model-perturbations: [weight-noice]", "there is no model-perturbation 'weight-noice'. Did you mean"),
        ("model-perturbations: [gaussian-noise]", "'gaussian-noise' is a perturbation: it belongs elsewhere"),
        ("model-perturbations: [weight-noise, weight-noise]", "says what model-perturbations[0] says already"),
        ("model-perturbations: [{weight-noise: {sigma: -1}}]", "should be greater than or equal to 0; got -1"),
        ("model-perturbations: []\ncompare: [{along: models, with: original, metrics: [ssim]}]", "no models to comp"),
        (
            "model-perturbations: [weight-noise]\ncompare: [{along: models, metrics: [ssim]}]",
            "'original' for the one that each was changed from",
        ),
    ],
)
def test_what_changes_no_model_is_refused(entry, problem, tmp_path):
    text = f"models: [resnet18]\nimages: bundled\nmethods: [gradient]\n{entry}\n"
    assert problem in toys.refusal(text, tmp_path, default_registry(plugins=False))
