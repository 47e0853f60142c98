"""Every built-in component keeps the contract that plugins are held to; new ones are picked up by themselves."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sam_toolkit.component import MapMetric, Method, ModelPerturbation, PairMetric, Perturbation
from sam_toolkit.registry import default_registry
from sam_toolkit.testing import (
    check_declarations,
    check_map_metric,
    check_method,
    check_model_perturbation,
    check_pair_metric,
    check_perturbation,
    small_model,
)

CHECKS = {
    Method.kind: check_method,
    Perturbation.kind: check_perturbation,
    ModelPerturbation.kind: check_model_perturbation,
    PairMetric.kind: check_pair_metric,
    MapMetric.kind: check_map_metric,
}
COMPONENTS = [entry.component for entry in default_registry(plugins=False).entries()]

SUMMARIES = ("shapley", "banzhaf", "beta-shapley", "leave-one-out", "include-one", "rise", "lime")

FURTHER = {
    ("method", "lime"): [
        {"samples": 12, "segmentation": "grid", "segments": 9},
        {"samples": 12, "segmentation": "grid", "segments": 30, "ridge": 0, "keep": 0.7},
        {"samples": 8, "segmentation": "quickshift", "max_dist": 9, "fill": "superpixel-mean", "kernel_width": 0.1},
        {"samples": 9, "draws": "independent", "fill": "noise", "seed": 3},
    ],
    ("method", "meaningful-perturbation"): [
        {"iterations": 9, "mask_size": 12},
        {"iterations": 3, "mask_size": 12, "circle_step": 9, "circle_largest": 20, "search_blur": 4},
        {"iterations": 12, "init": "random", "fill": "noise", "seed": 3, "upsampling": "gaussian", "tv_exponent": 1},
        {"iterations": 9, "init": "ones", "fill": (0.2, 0.5, 0.9), "jitter": 1, "scaling": "integral", "map_sigma": 0},
        {"iterations": 8, "mask_size": 14, "compat": "sam-2020", "l1": 0.01, "upsampling": "bilinear"},
    ],
    ("method", "removal"): [
        *({"players": 4, "summary": each, "keep": 0.3, "kernel_width": 1.0} for each in SUMMARIES),
        *({"players": 4, "estimator": each, "samples": 6} for each in ("permutation", "antithetic", "kernel-shap")),
        {"players": 3, "estimator": "regression", "summary": "banzhaf", "samples": 15, "segmentation": "slic"},
        {"players": 3, "estimator": "regression", "summary": "lime", "samples": 12, "segmentation": "slic"},
        {"players": 3, "estimator": "means", "summary": "rise", "samples": 12, "segmentation": "slic", "seed": 3},
        {"players": 20, "estimator": "means", "summary": "banzhaf", "samples": 9, "fill": "noise"},
        {"players": 20, "estimator": "permutation", "samples": 2, "fill": "noise", "draws": "independent"},
        {"players": 20, "summary": "leave-one-out", "fill": "noise"},
    ],
    ("method", "sliding-patch"): [
        {"patch": 9, "stride": 5, "border": "floor", "compat": "sam-2020"},
        {"patch": 12, "stride": 7, "fill": (0.2, 0.5, 0.9)},
        {"patch": 12, "stride": 7, "fill": "noise", "seed": 3},
    ],
    ("map-metric", "deletion"): [
        {"pixels": 800, "score": "logit", "fill": "noise", "compat": "scan-order"},
        {"pixels": 900, "compat": ["scan-order", "predicted-class"], "sign": "absolute"},
        {"steps": 2, "fill": "noise", "seed": 3},
    ],
    ("map-metric", "localization"): [
        {"alpha": "best", "region": "largest", "compat": "box-edge"},
        {"alpha": "best", "alphas": [0.3, 0.6], "sign": "absolute"},
    ],
    ("pair-metric", "lens-recall"): [
        {"k": k, "w": w, "diverse": True, "compat": compat}
        for compat in (None, "lens-2024", ("row-wrap", "pixel-zero"))
        for k in (1, 60)
        for w in (0, 1, 3)
    ],
    ("pair-metric", "lens-precision"): [{"k": 2304, "w": 60}, {"k": 50, "w": 2, "compat": "row-wrap"}],
    ("pair-metric", "top-k-intersection"): [{"k": 90, "w": w, "diverse": True} for w in (1, 4)],
    ("pair-metric", "lens-spearman"): [{"w": 5, "padding": "symmetric"}, {"w": 20, "padding": "valid"}, {"w": 20}],
    ("pair-metric", "sign-agreement"): [{"k": 2304}, {"k": 1}],
    ("pair-metric", "ssim"): [{"sigma": 1.5, "data_range": 2.0}],
}
"""Settings that need two fields moved at once, which the checks do not do by themselves."""

_NEIGHBOURS: list[dict[str, Any]] = [
    {},
    {"eps": 0.1, "steps": 2, "alpha": 0.02},
    {"norm": "l2", "eps": 1.0},
    {"compat": "lens-2024"},
    {"of": {"input-x-gradient": {"channels": "abs-sum"}}, "criterion": "spearman"},
]
CHOSEN = {
    ("method", "meaningful-perturbation"): [
        {"iterations": 4, "mask_size": 12, "circle_step": 12, **fields}
        for fields in (
            {},
            {"iterations": 5, "l1": 2e-4, "tv": 0.02, "seed": 1},
            {"mask_size": 13, "jitter": 3, "score": "logit"},
            {"init": "ones", "fill": "noise", "learning_rate": 0.2, "beta1": 0.8},
            {"init": "random", "blur_sigma": 5.0, "tv_exponent": 2.0, "scaling": "none"},
            {"upsampling": "bilinear", "beta2": 0.9, "epsilon": 1e-3, "circle_largest": 18.0},
            {"upsampling": "gaussian", "upsampling_sigma": 3.0, "circle_sigma": 5.0, "suppression": 0.9},
            {"compat": "jitter-frame", "map_sigma": 2.0, "search_blur": 4.0},
            {"compat": "sam-2020", "fill": "black"},
        )
    ],
    ("perturbation", "attribution-attack"): [
        *({"k": 60, "steps": 1, **fields} for fields in _NEIGHBOURS),
        *({"objective": "mass-centre", "steps": 1, "compat": compat} for compat in (None, "lens-2024")),
        *({"objective": "target", "steps": 1, "box": box} for box in (None, (4, 6, 15, 20))),
        {"k": 60, "w": 2, "beta": 1.0, "steps": 1},
    ],
    ("perturbation", "random-walk"): [{"steps": 1, **fields} for fields in [*_NEIGHBOURS, {"repeats": 2, "seed": 3}]],
}
"""Settings in place of the defaults' neighbours, where these would take a minute."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Return a file of random weights of the network that components are checked with."""
    path = tmp_path_factory.mktemp("weights") / "other.pth"
    torch.save(
        {name: torch.rand_like(value.float()) for name, value in small_model().module.state_dict().items()}, path
    )
    return path


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda one: f"{one.kind}-{one.name}")
def test_a_built_in_component_keeps_its_contract(component, weights):
    needed = {"file": weights} if (component.kind, component.name) == ("model-perturbation", "other-weights") else {}
    chosen = [component.setting(**fields) for fields in CHOSEN.get((component.kind, component.name), [])]
    check = CHECKS.get(component.kind, check_declarations)
    check(component(**needed) if needed else component, *([chosen] if chosen else []))


@pytest.mark.parametrize(("kind", "name"), FURTHER, ids=lambda text: text)
def test_it_does_so_where_two_fields_move(kind, name):
    component = next(one for one in COMPONENTS if (one.kind, one.name) == (kind, name))
    CHECKS[kind](component, [component.setting(**fields) for fields in FURTHER[kind, name]])


def test_every_component_that_computes_has_a_check():
    assert {one.kind for one in COMPONENTS} >= set(CHECKS)
