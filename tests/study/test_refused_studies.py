"""What is said of a study that breaks rules, and where; method entries have a file of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn
from toys import refusal, toy_registry

from sam_toolkit.errors import SpecError
from sam_toolkit.study.resolve import load_study

_HEAD = "models: [resnet50]\nimages: bundled\n"
_PLAIN = _HEAD + "methods: [gradient]\n"

BAD = [
    (_PLAIN + "seed: '0'\n", ["4:7: seed: should be a valid integer; got '0'."]),
    (_PLAIN + "seed: true\n", ["4:7: seed: should be a valid integer; got true."]),
    (_PLAIN + "seed: -1\n", ["4:7: seed: should be greater than or equal to 0; got -1."]),
    (_PLAIN + "reruns: 1.5\n", ["4:9: reruns: should be a valid integer; got 1.5."]),
    (_PLAIN + "random-maps: .inf\n", ["4:14: random-maps: should be a valid integer; got .inf."]),
    (_PLAIN + "title: 3\n", ["4:8: title: should be a valid string; got 3."]),
    (_PLAIN + "seed: 1\nseed: 2\n", ["5:1: seed: stands twice, first at line 4; keep one."]),
    (_PLAIN + "seed: !!int x\n", ["4:7: seed: 'x' cannot be read as int."]),
    (
        _PLAIN + "metods: []\n",
        [
            "4:1: metods: a study has no 'metods' (it has: title, seed, reruns, random-maps, precision, models, "
            "model-perturbations, images, inputs, "
            "methods, compare, accuracy, compat, plugins, on). Did you mean 'methods' or 'models'?"
        ],
    ),
    (
        "seed: 0\n",
        [
            "1:1: a study needs 'models': a list of names, or of mappings such as {name: resnet50}.",
            "1:1: a study needs 'images': the name of an image source, or a mapping such as {folder: photos/}.",
            "1:1: a study needs 'methods': a list of names, or of mappings such as {smoothgrad: {samples: [50, 100]}}.",
        ],
    ),
    (
        "models: [resnet5]\nimages: bundled\nmethods: [gradient]\n",
        [
            "1:10: models[0]: there is no model 'resnet5'. Did you mean 'resnet50' or 'resnet18'? "
            "Sources and their models: lite (2), zoo (3)."
        ],
    ),
    (
        "models: [resnet50, resnet50, {name: resnet18, as: resnet50}]\nimages: bundled\nmethods: [gradient]\n",
        [
            "1:20: models[1]: models[0] is called 'resnet50' too; tell them apart: {name: resnet50, as: ...}.",
            "1:30: models[2]: models[0] is called 'resnet50' too; tell them apart: {name: resnet18, as: ...}.",
        ],
    ),
    (
        "models:\n- shared-net\n- {weights: x}\n- 7\n- {name: resnet18, wieghts: x}\n- {name: resnet50, "
        "source: lite}\n"
        "- {name: resnet50, source: zo}\n- {name: resnet50, classes: 0}\nimages: bundled\nmethods: "
        "[gradient]\n",
        [
            "2:3: models[0]: several sources serve 'shared-net': lite, zoo. Say which: {name: shared-net, "
            "source: lite}.",
            "3:3: models[1]: a model needs 'name' (what its source calls it).",
            "4:3: models[2]: should be a model's name or {name: ..., field: value}; got 7.",
            "5:20: models[3].wieghts: model source 'zoo' has no 'wieghts' (it has: weights, classes, "
            "name, as, source). "
            "Did you mean 'weights'?",
            "6:10: models[4].name: model source 'lite' has no model 'resnet50'. Did you mean 'shared-net'?",
            "7:10: models[5].name: there is no model-source 'zo'. Did you mean 'zoo'? Known: anything, lite, zoo.",
            "8:29: models[6].classes: should be greater than or equal to 1; got 0.",
        ],
    ),
    (
        "models: []\nimages: bundled\nmethods: [gradient]\n",
        ["1:9: models: a study needs a model; the list is empty."],
    ),
    (
        "models: [resnet50]\nimages: bundeld\nmethods: [gradient]\n",
        ["2:9: images: there is no image-source 'bundeld'. Did you mean 'bundled'? Known: bundled, folder."],
    ),
    (
        "models: [resnet50]\nimages: {fodler: x}\nmethods: [gradient]\n",
        ["2:9: images: one key must name an image source (bundled, folder); got fodler. Did you mean 'folder'?"],
    ),
    (
        "models: [resnet50]\nimages: {folder: x, bundled: y}\nmethods: [gradient]\n",
        ["2:9: images: one key must name an image source (bundled, folder); got folder, bundled."],
    ),
    (
        "models: [resnet50]\nimages: {bundled: 1, limit: 0}\nmethods: [gradient]\n",
        [
            "2:19: images.bundled: image source 'bundled' takes no value; got 1.",
            "2:29: images.limit: should be greater than or equal to 1; got 0.",
        ],
    ),
    (
        "models: [resnet50]\nimages: {folder: 3, limit: '5', boxs: b.csv}\nmethods: [gradient]\n",
        [
            "2:18: images.folder: should be a valid string; got 3.",
            "2:28: images.limit: should be a valid integer; got '5'.",
            "2:33: images.boxs: image source 'folder' has no 'boxs' (it has: folder, boxes, endings). Did "
            "you mean 'boxes'?",
        ],
    ),
    (
        "models: [resnet50]\nimages: folder\nmethods: [gradient]\n",
        ["2:9: images: image source 'folder' needs 'folder' (folder of image files)."],
    ),
    (
        _PLAIN + "inputs: [clean, clean, gausian-noise, {gaussian-noise: {sigma: 0}}, gaussian-noise, "
        "gaussian-noise]\n",
        [
            "4:17: inputs[1]: says what inputs[0] says already; keep one.",
            "4:24: inputs[2]: there is no perturbation 'gausian-noise'. Did you mean 'gaussian-noise'? "
            "Known: gaussian-noise.",
            "4:64: inputs[3].sigma: should be greater than 0; got 0.",
            "4:85: inputs[5]: says what inputs[4] says already; keep one.",
        ],
    ),
    (
        _PLAIN + "compare:\n  - {along: inputs, with: clean, metrics: [ssim]}\n",
        [
            "5:13: compare[0].along: there are no inputs to compare: list a perturbation under 'inputs', "
            "besides the clean one."
        ],
    ),
    (
        _PLAIN + "compare: [{along: [settings], metrics: [ssim]}]\n",
        ["4:19: compare[0].along: should be 'settings' or 'inputs' or 'models'; got ['settings']."],
    ),
    (
        _PLAIN + "compare:\n  - {along: setting, metrics: []}\n  - {with: default, metric: [ssim]}\n",
        [
            "5:5: compare[0]: a comparison needs 'metrics': a list such as [ssim, {ssim: {window: [5, 7]}}].",
            "5:13: compare[0].along: should be 'settings' or 'inputs' or 'models'; got 'setting'. "
            "Did you mean 'settings'?",
            "6:5: compare[1]: a comparison needs 'along': settings or inputs or models.",
            "6:5: compare[1]: a comparison needs 'metrics': a list such as [ssim, {ssim: {window: [5, 7]}}].",
            "6:21: compare[1].metric: a comparison has no 'metric' (it has: along, with, of, reference, metrics). "
            "Did you mean 'metrics'?",
        ],
    ),
    (
        _PLAIN + "compare:\n  - {along: settings, with: clean, metrics: [{ssim: {window: [5, 1]}}, hogg, "
        "insertion, hog, hog]}\n"
        "  - {along: settings, metrics: [ssim]}\n",
        [
            "5:29: compare[0].with: maps along settings are compared with 'default', or 'all' with each other; "
            "got 'clean'.",
            "5:66: compare[0].metrics[0].window[1]: should be greater than or equal to 3; got 1.",
            "5:72: compare[0].metrics[1]: there is no pair-metric 'hogg'. Did you mean 'hog'? Known: hog, "
            "spearman, ssim.",
            "5:78: compare[0].metrics[2]: there is no pair-metric 'insertion'. Known: hog, spearman, ssim. "
            "'insertion' is a map-metric: it belongs elsewhere in the study.",
            "5:94: compare[0].metrics[4]: says what compare[0].metrics[3] says already; keep one.",
            "6:5: compare[1]: compare[0] goes along settings too; put their metrics into one.",
        ],
    ),
    (
        _PLAIN + "accuracy: [{insertion: {steps: '5'}}, insertoin]\n",
        [
            "4:32: accuracy[0].steps: should be a valid integer; got '5'.",
            "4:39: accuracy[1]: there is no map-metric 'insertoin'. Did you mean 'insertion'? "
            "Known: deletion, insertion, pointing-game.",
        ],
    ),
]


@pytest.mark.parametrize(("text", "problems"), BAD)
def test_every_problem_is_told_with_its_place(text: str, problems: list[str], tmp_path: Path) -> None:
    lines = refusal(text, tmp_path).splitlines()
    assert lines[::3] == [f"study.yaml:{problem}" for problem in problems]


def test_a_problem_shows_its_line_with_a_caret(tmp_path: Path) -> None:
    assert refusal(_HEAD + "methods:\n  - smoothgrad: {samples: [50, '50']}\n", tmp_path).splitlines()[1:] == [
        "      - smoothgrad: {samples: [50, '50']}",
        "                                   ^",
    ]


def test_a_long_line_is_shown_around_the_caret(tmp_path: Path) -> None:
    values = ", ".join(map(str, range(1, 200)))
    text = _HEAD + f"methods: [smoothgrad: {{samples: [{values}, x, {values.replace('1', '2')}]}}]\n"
    _, excerpt, caret, *_ = refusal(text, tmp_path).splitlines()
    assert len(excerpt) < 140
    assert excerpt[caret.index("^")] == "x"


def test_unknown_components_name_the_plugins_that_failed_to_load(tmp_path: Path) -> None:
    text = "models: [wavelet-net]\nimages: {wavelets: x}\nmethods: [wavelet]\n"
    message = refusal(text, tmp_path, toy_registry(broken=True))
    assert message.count("Plugin 'sam-wavelets' could not be loaded (ImportError: no pywt).") == 3


def test_a_mapping_s_problems_have_paths_without_lines() -> None:
    given = {"net": nn.Identity()}
    with pytest.raises(SpecError) as refused:
        load_study({"methods": [{"smoothgrad": {"samples": [50, "50"]}}], "seed": True}, toy_registry(), models=given)
    assert sorted(str(refused.value).splitlines()) == [
        "a study needs 'images': the name of an image source, or a mapping such as {folder: photos/}.",
        "methods[0].samples[1]: should be a valid integer; got '50'.",
        "seed: should be a valid integer; got true.",
    ]
