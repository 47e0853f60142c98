"""The metrics' own settings: what is done to maps before they are compared can be swept like anything else."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from nets import colour_net
from study.small import images, small_run
from toys import refusal

from sam_toolkit import SSIM, Gradient, Spearman, smoothed
from sam_toolkit.component import MapFacts
from sam_toolkit.study.labels import metric_text
from sam_toolkit.study.treatment import Treatment, split, treated

SIGNED = MapFacts()
MAPS = torch.randn(2, 3, 9, 11, generator=torch.Generator().manual_seed(0))
MAPS[0, 0] *= 40


def test_maps_are_divided_by_their_largest_absolute_value():
    expected = MAPS.numpy() / np.abs(MAPS.numpy()).max(axis=(-2, -1), keepdims=True)
    np.testing.assert_allclose(Treatment().apply(MAPS, SIGNED), expected, rtol=1e-6)


@pytest.mark.parametrize("quantile", [0.01, 0.5, 0.99])
def test_clipping_cuts_to_the_quantile_of_absolute_values(quantile):
    limits = np.quantile(np.abs(MAPS.numpy()), quantile, axis=(-2, -1), keepdims=True)
    expected = np.clip(MAPS.numpy(), -limits, limits) / limits
    np.testing.assert_allclose(Treatment(clip=quantile).apply(MAPS, SIGNED), expected, rtol=1e-5)


def test_min_max_stretches_to_0_and_1_and_leaves_a_flat_map_flat():
    found = Treatment(normalise="min-max").apply(torch.cat([MAPS[0], torch.full((1, 9, 11), 3.0)]), SIGNED)
    low, high = MAPS[0].numpy().min((-2, -1), keepdims=True), MAPS[0].numpy().max((-2, -1), keepdims=True)
    np.testing.assert_allclose(found[:3], (MAPS[0].numpy() - low) / (high - low), atol=1e-6)
    assert not found[3].any()


def test_signs_are_taken_off_before_anything_else():
    found = Treatment(sign="absolute", clip=0.9).apply(MAPS, SIGNED)
    torch.testing.assert_close(found, Treatment(clip=0.9).apply(MAPS.abs(), SIGNED))


def test_maps_that_their_method_bounds_stay_as_they_are_if_only_unbounded_ones_are_scaled():
    bounded = MapFacts(value_range=(-1.0, 1.0))
    treatment = Treatment(normalise="unbounded")
    assert treatment.apply(MAPS, bounded) is MAPS
    assert torch.equal(treatment.apply(MAPS, SIGNED), Treatment().apply(MAPS, SIGNED))


@pytest.mark.parametrize("padding", ["zero", "valid", "symmetric"])
def test_smoothing_comes_after_the_sign_and_before_the_rest(padding):
    treatment = Treatment(sign="absolute", smoothing=2, smoothing_padding=padding, clip=0.9)
    found = treatment.apply(MAPS, SIGNED)
    torch.testing.assert_close(found, Treatment(clip=0.9).apply(smoothed(MAPS.abs(), 2, padding).float(), SIGNED))
    assert found.dtype == MAPS.dtype


@pytest.mark.parametrize(
    ("fields", "facts", "expected"),
    [
        ({}, SIGNED, (-1, 1)),
        ({}, MapFacts(signed=False), (0, 1)),
        ({"sign": "absolute"}, SIGNED, (0, 1)),
        ({"normalise": "min-max"}, SIGNED, (0, 1)),
        ({"normalise": "unbounded"}, MapFacts(value_range=(-2.0, 5.0)), (-2, 5)),
        ({"normalise": "unbounded", "sign": "absolute"}, MapFacts(value_range=(-6.0, 5.0)), (0, 6)),
        ({"normalise": "unbounded"}, SIGNED, (-1, 1)),
    ],
)
def test_treated_maps_keep_to_their_range(fields, facts, expected):
    treatment = Treatment(**fields)
    low, high = treatment.range(facts)
    assert (low, high) == expected
    possible = (-100.0 if facts.signed else 0.0, 100.0) if facts.value_range is None else facts.value_range
    found = treatment.apply(MAPS.clamp(*possible), facts)
    assert low <= float(found.min()) <= float(found.max()) <= high


def test_a_setting_is_split_pickled_and_named():
    setting = treated(SSIM)(window=7, clip=0.99)
    assert split(SSIM, setting) == (SSIM.Params(window=7), Treatment(clip=0.99))
    assert pickle.loads(pickle.dumps(setting)) == setting
    assert metric_text(SSIM, setting) == "ssim window=7 clip=0.99"
    assert metric_text(Spearman, treated(Spearman)()) == "spearman"
    assert split(Spearman, Spearman.setting()) == (Spearman.setting(), Treatment())


def test_window_clipping_normalisation_and_sign_are_swept_in_a_study(tmp_path):
    sweep = {"ssim": {"window": [5, 7], "clip": [None, 0.9], "sign": ["signed", "absolute"], "normalise": "min-max"}}
    compare = [{"along": "settings", "metrics": [sweep, {"spearman": {"sign": "absolute"}}, "hog"]}]
    methods = [{"gradient": {"score": ["logit", "probability"]}}]
    changes = {"methods": methods, "compare": compare, "inputs": ["clean"], "seed": 0}
    results = small_run(tmp_path, changes, targets=[1, 2, 0])
    rows = {row.metric: row.score for row in results.rows if row.role == "value" and row.image == "image 0"}
    assert len(rows) == 8 + 2
    assert len(set(rows.values())) == 10
    maps = torch.stack(
        [Gradient(score=score)(colour_net(), images(), [1, 2, 0])[0] for score in ("logit", "probability")]
    )
    seen = Treatment(normalise="min-max", clip=0.9, sign="absolute").apply(maps, SIGNED)
    name = "ssim window=7 normalise=min-max clip=0.9 sign=absolute"
    assert rows[name] == pytest.approx(float(SSIM(window=7, data_range=1.0)(*seen)), abs=1e-5)
    ranks = Spearman()(*maps.abs())
    assert rows["spearman sign=absolute"] == pytest.approx(float(ranks), abs=1e-5)


def test_random_maps_and_reruns_are_treated_like_the_others(tmp_path):
    compare = [{"along": "settings", "metrics": [{"ssim": {"sign": ["signed", "absolute"]}}]}]
    rows = small_run(tmp_path, {"compare": compare, "inputs": ["clean"]}).rows
    random = {kind: [row.score for row in rows if row.role == "random" and row.metric == kind] for kind in
              ("ssim sign=signed", "ssim sign=absolute")}  # fmt: skip
    assert len(random["ssim sign=signed"]) == len(random["ssim sign=absolute"]) > 0
    assert random["ssim sign=signed"] != random["ssim sign=absolute"]


def test_a_treatment_that_does_not_exist_is_told_with_its_place(tmp_path):
    text = (
        "models: [resnet50]\nimages: bundled\nmethods: [gradient]\n"
        "compare: [{along: settings, metrics: [{spearman: {clip: [0.9, 1], normalise: max, sgn: absolute}}]}]\n"
    )
    assert refusal(text, tmp_path).splitlines()[::3] == [
        "study.yaml:4:63: compare[0].metrics[0].clip[1]: should be less than 1; got 1.",
        "study.yaml:4:78: compare[0].metrics[0].normalise: should be 'max-abs', 'min-max' or 'unbounded'; got 'max'. "
        "Did you mean 'min-max' or 'max-abs'?",
        "study.yaml:4:83: compare[0].metrics[0].sgn: spearman has no 'sgn' (it has: normalise, clip, sign, "
        "smoothing, smoothing_padding). "
        "Did you mean 'sign'?",
    ]
