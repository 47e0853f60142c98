"""Every setting can be swept, of methods and of metrics; each value has maps or scores of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nets import colour_model
from study.small import images, small_run

from sam_toolkit import run

SHORT = {"meaningful-perturbation": {"iterations": 3, "mask_size": 7, "circle_step": 8},
         "lime": {"samples": 20, "segments": 6}, "sliding-patch": {"patch": 8, "stride": 8},
         "smoothgrad": {"samples": 2}, "integrated-gradients": {"steps": 4}}  # fmt: skip

SWEPT = [
    ("meaningful-perturbation", "mask_size", [4, 7, 14]),
    ("meaningful-perturbation", "scaling", ["area", "integral", "none"]),
    ("meaningful-perturbation", "l1", [0.0001, 0.5]),
    ("meaningful-perturbation", "learning_rate", [0.1, 0.4]),
    ("lime", "segmentation", ["slic", "quickshift", "grid"]),
    ("lime", "segments", [4, 9, 16]),
    ("lime", "kernel_width", [0.25, 0.5]),
    ("sliding-patch", "stride", [4, 8]),
    ("sliding-patch", "fill", ["mean", "black", 0.5, [0.2, 0.4, 0.6], "blur", "noise"]),
    ("smoothgrad", "statistic", ["mean", "square", "variance"]),
    ("integrated-gradients", "baseline", ["black", "mean", [1.0, 0.0, 0.0], "blur", "noise"]),
]


@pytest.mark.parametrize(("method", "field", "listed"), SWEPT)
def test_a_method_s_hyperparameter_is_swept(method: str, field: str, listed: list[Any], tmp_path: Path) -> None:
    fixed = {key: value for key, value in SHORT[method].items() if key != field}
    entry = {**fixed, field: listed, "default": {field: listed[0]}}
    results = small_run(
        tmp_path,
        {
            "methods": [{method: entry}],
            "inputs": ["clean"],
            "reruns": 0,
            "random-maps": 1,
            "compare": [{"along": "settings", "metrics": ["ssim"]}],
        },
        images=images(1),
        models={"net": colour_model()},
        targets=0,
    )
    assert results.failures == ()
    rows = [row for row in results.rows if row.role == "value"]
    assert [row.factor for row in rows] == [field] * (len(listed) - 1)
    assert all(row.score < 0.9999 for row in rows)


@pytest.mark.parametrize(
    ("metric", "fields"),
    [
        ("deletion", {"sign": ["signed", "absolute"], "fill": ["mean", "black"], "steps": [4, 7]}),
        ("insertion", {"compat": [None, "sam-2020"], "score": "probability"}),
    ],
)
def test_an_accuracy_s_settings_are_swept(metric: str, fields: dict[str, Any], tmp_path: Path) -> None:
    study = {
        "methods": ["gradient"],
        "models": ["net"],
        "compare": [],
        "accuracy": [{metric: fields}],
    }
    found = run(study, tmp_path, models={"net": colour_model()}, images=images(1), targets=3).accuracies
    count = {"deletion": 8, "insertion": 2}[metric]
    assert len({item.metric for item in found}) == count
    assert len({item.score.mean for item in found}) == count
