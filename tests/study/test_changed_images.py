"""Attacks in a study: their images are made once, their controls run beside them, their success is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from nets import colour_net
from safetensors.torch import load_file
from study.small import images, small_run

from sam_toolkit.api import photos_of
from sam_toolkit.perturbations import AttributionAttack, GaussianNoise, RandomSign
from sam_toolkit.registry import default_registry
from sam_toolkit.study.estimate import Forgetful
from sam_toolkit.study.input_names import variant_names
from sam_toolkit.study.labels import value_text
from sam_toolkit.study.plan import Plan, make_plan
from sam_toolkit.study.prepare import prepare
from sam_toolkit.study.resolve import load_study
from sam_toolkit.study.results import Results
from sam_toolkit.study.spec import CLEAN, InputUse, Study

ATTACK = {"attribution-attack": {"k": 60, "steps": 12, "eps": ["2/255", "8/255"]}}
CHANGES: dict[str, Any] = {
    "inputs": ["clean", ATTACK],
    "methods": [{"gradient": {"channels": "abs-sum"}}, {"input-x-gradient": {"channels": "abs-sum"}}],
    "compare": [{"along": "inputs", "with": "clean", "metrics": ["spearman"]}],
}
ATTACKED = [f"attribution-attack eps={eps}/255 steps=12 k=60" for eps in (2, 8)]
CONTROLS = [f"random-sign eps={eps}/255" for eps in (2, 8)]


def study(**changes: Any) -> Study:
    given = {"models": {"net": colour_net()}, "photos": photos_of(images())}
    return load_study({"models": ["net"], **CHANGES, **changes}, default_registry(False), **given)


def planned() -> Plan:
    made = study()
    return make_plan(made, prepare(made, "cpu", Forgetful()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("attacks")


@pytest.fixture(scope="module")
def found(folder: Path) -> Results:
    return small_run(folder, CHANGES)


def test_random_signs_of_the_same_size_run_beside_each_attack() -> None:
    assert [use.name for use in study().inputs] == [CLEAN, *ATTACKED, *CONTROLS]


def test_a_control_that_a_study_lists_is_run_once() -> None:
    own = {"random-sign": {"eps": "8/255"}}
    names = [use.name for use in study(inputs=["clean", own, ATTACK]).inputs]
    assert [name for name in names if name.startswith("random-sign")] == CONTROLS[::-1]


def test_an_attack_is_run_once_for_every_method_that_explains_its_images(found: Results) -> None:
    settings = [AttributionAttack.setting(k=60, steps=12, eps=eps / 255) for eps in (2, 8)]
    together = AttributionAttack().rows(settings, (3, 32, 32))
    signs = RandomSign().rows([RandomSign.setting(eps=eps / 255) for eps in (2, 8)], (3, 32, 32))
    rows = 3 * (together + signs)
    assert planned().changing_rows == rows
    assert found.cost["network rows of changed images"] == f"{rows:,}"


def test_success_and_size_of_each_attack_are_told(found: Results) -> None:
    told = {(summary.input, summary.says): summary for summary in found.inputs}
    for attack, control, eps in zip(ATTACKED, CONTROLS, (2 / 255, 8 / 255), strict=True):
        assert sum(told[attack, "succeeded"].per_image.values()) == 2
        assert told[attack, "similarity"].per_image["image 1"] == 1
        assert 0 < told[attack, "change-l-inf"].value.mean <= eps + 1e-6
        assert told[control, "change-l-inf"].value.mean == pytest.approx(eps)
        assert set(told[control, "label-kept"].per_image.values()) <= {0, 1}


def test_curves_over_eps_are_one_of_the_attack_and_one_of_random_signs(found: Results) -> None:
    factors = {(row.factor, row.value) for row in found.rows if row.role == "value"}
    assert {value for _, value in factors} == {"eps=2/255", "eps=8/255"}
    assert {factor for factor, _ in factors} == {"attribution-attack steps=12 k=60", "random-sign"}


def test_the_attack_moves_maps_further_than_random_signs_in_the_study(found: Results) -> None:
    rows = [row for row in found.rows if row.value == "eps=8/255" and row.method == "gradient"]
    attacked, control = (
        [row.score for row in rows if row.factor.startswith(name)] for name in ("attribution", "random-sign")
    )
    assert sum(score < min(control) for score in attacked) >= 2  # of one image, each iterate has another label


def test_what_is_kept_is_used_again_and_what_is_damaged_is_made_again(found: Results, folder: Path) -> None:
    made = sorted(folder.rglob("inputs/*/*.safetensors"))
    assert len(made) == 3 * 4
    whole = load_file(made[0])["image"].clone()  # from a file that is to change
    made[0].write_bytes(made[0].read_bytes()[:-1])
    times = [path.stat().st_mtime_ns for path in made]
    more = {**CHANGES, "methods": [*CHANGES["methods"], "gradient"]}
    assert small_run(folder, more).inputs == found.inputs
    assert torch.equal(load_file(made[0])["image"], whole)
    untouched = [path.stat().st_mtime_ns == time for path, time in zip(made, times, strict=True)]
    assert untouched.count(False) <= 4  # the variants of one perturbation and image are made together


def test_a_study_repeats_from_its_seed(found: Results, tmp_path: Path) -> None:
    again = small_run(tmp_path, CHANGES)
    assert again.rows == found.rows
    assert again.inputs == found.inputs


def test_variants_are_named_by_the_field_that_varies_most() -> None:
    uses = [InputUse(CLEAN), InputUse("gaussian-noise sigma=0.3", GaussianNoise, GaussianNoise.setting(sigma=0.3))]
    for w in (0, 1):
        for eps in (1, 2, 4):
            uses.append(InputUse("", AttributionAttack, AttributionAttack.setting(w=w, eps=eps / 255)))  # noqa: PERF401
    assert variant_names(uses)[:2] == [("", CLEAN), ("gaussian-noise", "sigma=0.3")]
    assert variant_names(uses)[2:] == [
        (f"attribution-attack w={w}", f"eps={eps}/255") for w in (0, 1) for eps in (1, 2, 4)
    ]


def test_levels_of_255_are_written_as_such() -> None:
    assert [value_text(value) for value in (8 / 255, 0.5 / 255, 0.1, 1.0, 0.2, 1 / 3)] == [
        "8/255", str(0.5 / 255), "0.1", "1", "0.2", str(1 / 3),
    ]  # fmt: skip
