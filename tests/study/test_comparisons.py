"""Comparisons with the default, of all pairs, along inputs and along models: what is compared, and what it comes to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import toys
from nets import colour_net
from study.small import STUDY, images, small_run

from sam_toolkit import SSIM, Gradient, SmoothGrad
from sam_toolkit.api import photos_of
from sam_toolkit.component import MapFacts
from sam_toolkit.errors import SpecError
from sam_toolkit.registry import default_registry
from sam_toolkit.study.estimate import Forgetful
from sam_toolkit.study.plan import make_plan
from sam_toolkit.study.prepare import prepare
from sam_toolkit.study.resolve import load_study
from sam_toolkit.study.results import Results, Row
from sam_toolkit.study.treatment import Treatment

SWEEP = {"smoothgrad": {"samples": [2, 4, 6], "spread": [0.1, 0.2], "default": {"samples": 4, "spread": 0.1}}}
ONE = {"methods": [SWEEP], "inputs": ["clean"], "reruns": 1, "random-maps": 1}
TWO_MODELS = {"net": colour_net(), "twin": colour_net(1)}


def found(folder: Path, *comparisons: dict[str, Any], **changes: Any) -> Results:
    options = {key: changes.pop(key) for key in ("models", "targets") if key in changes}
    compare = [{"metrics": ["ssim"], **each} for each in comparisons]
    named = {"models": list(options["models"])} if "models" in options else {}
    return small_run(folder, {**ONE, "compare": compare, **named, **changes}, **options)


def values(results: Results) -> list[Row]:
    return [row for row in results.rows if row.role == "value" and row.image == "image 0"]


def similarity(one: Any, other: Any) -> float:
    return float(SSIM(data_range=2.0)(*(Treatment().apply(maps[0], MapFacts()) for maps in (one, other))))


def test_all_pairs_of_settings_differ_in_one_hyperparameter(tmp_path):
    rows = values(found(tmp_path, {"along": "settings", "with": "all"}))
    assert [(row.factor, row.value) for row in rows] == [
        ("samples", "4 vs 2"),
        ("samples", "4 vs 6"),
        ("spread", "0.1 vs 0.2"),
        ("samples", "2 vs 6"),
    ]
    assert {(row.along, row.reference) for row in rows} == {("pairs of settings", "each other")}


def test_a_pair_s_score_is_that_of_its_two_maps(tmp_path):
    rows = values(found(tmp_path, {"along": "settings", "with": "all"}, targets=[1, 2, 0], seed=0))
    maps = [SmoothGrad(samples=count, spread=0.1)(colour_net(), images(), [1, 2, 0]) for count in (2, 6)]
    assert rows[3].score == pytest.approx(similarity(*maps), abs=1e-5)


def test_pairs_with_the_default_score_as_they_do_against_it(tmp_path):
    both = values(found(tmp_path, {"along": "settings"}, {"along": "settings", "with": "all"}))
    against = {row.value: row.score for row in both if row.along == "settings"}
    pairs = {row.value: row.score for row in both if row.along == "pairs of settings"}
    assert (against["2"], against["6"], against["0.2"]) == (pairs["4 vs 2"], pairs["4 vs 6"], pairs["0.1 vs 0.2"])


def test_the_floors_of_pairs_are_those_of_the_default(tmp_path):
    results = found(tmp_path, {"along": "settings"}, {"along": "settings", "with": "all"})
    floors = {along: [(row.role, row.score) for row in results.rows if row.role != "value" and row.along == along]
              for along in ("settings", "pairs of settings")}  # fmt: skip
    assert floors["settings"] == floors["pairs of settings"]
    assert len(floors["settings"]) == 2 * 3


def test_all_pairs_of_a_grid_differ_in_one_hyperparameter_too(tmp_path):
    grid = {"smoothgrad": {"samples": [2, 4], "spread": [0.1, 0.2], "grid": True, "default": {"spread": 0.1}}}
    rows = values(found(tmp_path, {"along": "settings", "with": "all"}, methods=[grid]))
    count = 3 * 2  # of samples, with the default's 50
    assert {row.factor for row in rows} == {"samples", "spread"}
    assert len(rows) == 2 * (count // 2) + count // 2


def test_all_pairs_of_inputs(tmp_path):
    inputs = ["clean", {"gaussian-noise": {"sigma": [0.1, 0.2]}}]
    rows = values(found(tmp_path, {"along": "inputs", "with": "all"}, inputs=inputs))
    assert [(row.factor, row.value) for row in rows] == [
        ("gaussian-noise", "clean vs sigma=0.1"),
        ("gaussian-noise", "clean vs sigma=0.2"),
        ("gaussian-noise", "sigma=0.1 vs sigma=0.2"),
    ]


def test_of_names_the_methods_that_take_part(tmp_path):
    inputs = ["clean", {"gaussian-noise": {"sigma": 0.1}}]
    results = found(
        tmp_path,
        {"along": "settings", "of": ["smoothgrad"]},
        {"along": "inputs", "of": ["gradient"]},
        {"along": "inputs", "of": ["smoothgrad"], "metrics": ["spearman"]},
        methods=["gradient", SWEEP],
        inputs=inputs,
    )
    assert {(row.along, row.method, row.metric) for row in values(results)} == {
        ("settings", "smoothgrad", "ssim"),
        ("inputs", "gradient", "ssim"),
        ("inputs", "smoothgrad", "spearman"),
    }


def test_along_models_each_setting_is_compared_with_the_twin_s(tmp_path):
    comparison = {"along": "models", "with": {"net": "twin"}}
    results = found(tmp_path, comparison, models=TWO_MODELS, targets=[1, 2, 0], seed=0)
    rows = values(results)
    assert {(row.model, row.along, row.reference) for row in rows} == {("net", "models", "twin")}
    assert [(row.factor, row.value) for row in rows] == [
        ("model", "net"),
        ("samples", "4"),
        ("samples", "2"),
        ("samples", "6"),
        ("spread", "0.1"),
        ("spread", "0.2"),
    ]
    maps = [SmoothGrad(samples=6, spread=0.1)(net, images(), [1, 2, 0]) for net in TWO_MODELS.values()]
    assert rows[3].score == pytest.approx(similarity(*maps), abs=1e-5)
    assert rows[0].score == rows[1].score == rows[4].score


def test_a_regular_model_s_maps_are_compared_with_a_reference_method_of_its_twin(tmp_path):
    comparison = {"along": "models", "with": "twin", "reference": "gradient"}
    results = found(tmp_path, comparison, models=TWO_MODELS, targets=[1, 2, 0], seed=0, methods=["gradient", SWEEP])
    rows = {(row.method, row.factor, row.value): row for row in values(results)}
    robust = Gradient()(TWO_MODELS["twin"], images(), [1, 2, 0])
    smooth = SmoothGrad(samples=6, spread=0.1)(TWO_MODELS["net"], images(), [1, 2, 0])
    assert rows["smoothgrad", "samples", "6"].score == pytest.approx(similarity(smooth, robust), abs=1e-5)
    plain = Gradient()(TWO_MODELS["net"], images(), [1, 2, 0])
    assert rows["gradient", "model", "net"].score == pytest.approx(similarity(plain, robust), abs=1e-5)
    assert {row.reference for row in rows.values()} == {"gradient of twin"}
    strips = [strip for strip in results.strips if strip.factor == "samples"]
    assert strips[0].labels == ("gradient of twin", "4", "2", "6")


def test_all_pairs_of_models(tmp_path):
    three = {**TWO_MODELS, "third": colour_net(2)}
    rows = values(found(tmp_path, {"along": "models", "with": "all"}, models=three, targets=0, methods=["gradient"]))
    assert [row.value for row in rows] == ["net vs twin", "net vs third", "twin vs third"]


def test_models_that_explain_different_classes_of_an_image_are_not_compared_on_it(tmp_path):
    classes = [[int(net(image[None]).argmax()) for image in images()] for net in TWO_MODELS.values()]
    same = [f"image {place}" for place, (one, other) in enumerate(zip(*classes, strict=True)) if one == other]
    rows = found(tmp_path, {"along": "models", "with": "twin"}, models=TWO_MODELS, methods=["gradient"]).rows
    assert len(same) < 3
    assert [row.image for row in rows if row.role == "value"] == same


def test_a_second_run_compares_nothing_again(tmp_path, monkeypatch):
    comparisons = ({"along": "settings", "with": "all"}, {"along": "models", "with": "twin"})
    first = found(tmp_path, *comparisons, models=TWO_MODELS)
    monkeypatch.setattr(SSIM, "compare", lambda *_: pytest.fail("compared again"))
    assert found(tmp_path, *comparisons, models=TWO_MODELS).rows == first.rows


@pytest.mark.parametrize("wanted", ["all", "large", {"small": "large"}])
def test_maps_of_different_sizes_are_refused_along_models(wanted):
    entries = {**STUDY, **ONE, "models": ["small", "large"]}
    study = load_study(
        {**entries, "compare": [{"along": "models", "with": wanted, "metrics": ["ssim"]}]},
        default_registry(False),
        models={"small": colour_net(), "large": colour_net(1)},
        photos=photos_of(images(1)),
    )
    small, large = prepare(study, "cpu", Forgetful())
    with pytest.raises(SpecError, match=r"'small' \(16 x 16\) and 'large' \(32 x 32\) .*crop"):
        make_plan(study, (replace(small, shape=(3, 16, 16)), large))


PLAIN = "models: [resnet50, resnet18]\nimages: bundled\nmethods: [gradient, smoothgrad]\ncompare:\n"
REFUSED = [
    ("{along: models, metrics: [ssim]}",
     "5:5: compare[0]: a comparison along models needs 'with': the model to compare with (resnet50, resnet18), "
     "a mapping of models to theirs, or all."),
    ("{along: models, with: resnet51, metrics: [ssim]}",
     "5:27: compare[0].with: the study has no model 'resnet51' (it has: resnet50, resnet18). "
     "Did you mean 'resnet50' or 'resnet18'?"),
    ("{along: models, with: {resnet50: resnet50}, metrics: [ssim]}",
     "5:38: compare[0].with.resnet50: 'resnet50' would be compared with itself; name another model."),
    ("{along: models, with: {resnet5: resnet50}, metrics: [ssim]}",
     "5:28: compare[0].with.resnet5: the study, among its models, has no 'resnet5' (it has: resnet50, resnet18). "
     "Did you mean 'resnet50' or 'resnet18'?"),
    ("{along: settings, of: [gradent], metrics: [ssim]}",
     "5:28: compare[0].of[0]: the study has no method 'gradent' (it has: gradient, smoothgrad). "
     "Did you mean 'gradient'?"),
    ("{along: settings, of: [], metrics: [ssim]}",
     "5:27: compare[0].of: an empty list compares nothing; name methods, or leave it out."),
    ("{along: settings, reference: gradient, metrics: [ssim]}",
     "5:34: compare[0].reference: only maps along models are compared with those of one method; "
     "this goes along settings."),
    ("{along: models, with: all, reference: gradient, metrics: [ssim]}",
     "5:27: compare[0].with: pairs have no reference: name a model, or leave out 'reference'."),
    ("{along: settings, with: all, metrics: [ssim]}\n  - {along: settings, of: [gradient], with: all, metrics: [hog]}",
     "6:5: compare[1]: compare[0] goes along pairs of settings too; put their metrics into one."),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "problem"), REFUSED)
def test_what_cannot_be_compared_is_told_with_its_place(entry, problem, tmp_path):
    lines = toys.refusal(f"{PLAIN}  - {entry}\n", tmp_path).splitlines()
    assert lines[::3] == [f"study.yaml:{problem}"]


def test_one_model_has_no_other_to_be_compared_with(tmp_path):
    text = PLAIN.replace(", resnet18", "") + "  - {along: models, with: all, metrics: [ssim]}\n"
    expected = (
        "there are no models to compare: list two or more under 'models', or a change under 'model-perturbations'."
    )
    assert expected in toys.refusal(text, tmp_path)
