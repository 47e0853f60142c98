"""Variants of a study under `on`, and conventions that the whole study keeps under `compat`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import toys
import yaml
from click.testing import CliRunner

from sam_toolkit.cli import BAD_INPUT, main
from sam_toolkit.errors import SpecError
from sam_toolkit.registry import default_registry
from sam_toolkit.study.resolve import load_study
from sam_toolkit.study.spec import Study
from sam_toolkit.study.treatment import Treatment, split

ENTRIES: dict[str, Any] = {
    "title": "robust",
    "models": ["resnet50", "resnet18"],
    "images": {"folder": "photos"},
    "methods": ["gradient"],
    "on": {"demo": {"models": ["resnet18"], "images": "bundled"}, "seeded": {"seed": 7, "title": "lucky"}},
}


def test_a_variant_takes_the_place_of_entries() -> None:
    study = load_study(ENTRIES, toys.toy_registry(), variants=["demo"])
    assert [use.name for use in study.models] == ["resnet18"]
    assert isinstance(study.images.source, toys.Bundled)
    assert (study.title, study.seed) == ("robust-demo", 0)


def test_a_study_without_its_variants_is_as_it_is_written() -> None:
    study = load_study(ENTRIES, toys.toy_registry())
    assert ([use.name for use in study.models], study.title) == (["resnet50", "resnet18"], "robust")


def test_variants_add_up_in_order_and_stand_in_the_text() -> None:
    study = load_study(ENTRIES, toys.toy_registry(), variants=["demo", "seeded"])
    assert (study.title, study.seed, len(study.models)) == ("lucky", 7, 1)
    assert study.text.splitlines()[-2:] == ["# Taken on: demo", "# Taken on: seeded"]


def test_a_study_without_title_is_called_by_file_and_variant(tmp_path: Path) -> None:
    entries = {key: value for key, value in ENTRIES.items() if key != "title"}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(entries))
    assert load_study(tmp_path / "mine.yaml", toys.toy_registry(), variants=["demo"]).title == "mine-demo"


def test_a_problem_in_a_variant_is_told_where_it_stands(tmp_path: Path) -> None:
    text = "models: [resnet50]\nimages: bundled\nmethods: [gradient]\non:\n  demo:\n    models: [resnet5]\n"
    (tmp_path / "study.yaml").write_text(text)
    load_study(tmp_path / "study.yaml", toys.toy_registry())
    with pytest.raises(SpecError, match=r"study\.yaml:6:14: models\[0\]: there is no model 'resnet5'"):
        load_study(tmp_path / "study.yaml", toys.toy_registry(), variants=["demo"])


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("on: demo", "4:5: on: should be a mapping of names to variants, {demo: {images: bundled}}; got 'demo'."),
        ("on: {demo: 3}", "4:12: on.demo: should be a mapping of keys to values ("),
        ("on: {demo: {modls: [resnet18]}}", "4:13: on.demo.modls: a variant has no 'modls' ("),
    ],
)
def test_what_is_no_variant_is_refused(entry: str, problem: str, tmp_path: Path) -> None:
    text = f"models: [resnet50]\nimages: bundled\nmethods: [gradient]\n{entry}\n"
    assert toys.refusal(text, tmp_path).startswith(f"study.yaml:{problem}")


def test_a_variant_that_is_not_there_is_an_error_that_names_the_others(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(ENTRIES))
    result = CliRunner().invoke(main, ["plan", str(path), "--on", "dmo"])
    assert result.exit_code == BAD_INPUT
    with pytest.raises(SpecError, match=r"has no variant 'dmo' \(it has: demo, seeded\)\. Did you mean 'demo'"):
        load_study(path, toys.toy_registry(), variants=["dmo"])
    with pytest.raises(SpecError, match="it has none: name them under `on`"):
        load_study({**ENTRIES, "on": {}}, toys.toy_registry(), variants=["demo"])


def compatible(**entries: Any) -> Study:
    return load_study(
        {
            "models": ["resnet50"],
            "images": "bundled",
            "compat": "sam-2020",
            "methods": ["gradient", {"sliding-patch": {"patch": [52, 53]}}, "meaningful-perturbation"],
            "accuracy": ["insertion", "deletion", "localization", "localization-error", "pointing-game"],
            **entries,
        },
        default_registry(False),
    )


def test_a_study_s_conventions_reach_every_component_that_has_them() -> None:
    study = compatible()
    patch = study.methods[1]
    assert {(setting.patch, setting.border, setting.compat) for setting in patch.settings} == {
        (29, "floor", "sam-2020"),
        (52, "floor", "sam-2020"),
        (53, "floor", "sam-2020"),
    }
    assert study.methods[2].default.compat == "sam-2020"
    conventions = [getattr(use.settings[0], "compat", None) for use in study.accuracy]
    assert conventions == ["sam-2020"] * 4 + [None]


@pytest.mark.parametrize("compare", [{}, {"compare": [{"along": "settings", "metrics": ["ssim", "spearman", "hog"]}]}])
def test_under_them_maps_that_their_method_bounds_are_not_scaled(compare: dict[str, Any]) -> None:
    for use in compatible(**compare).compare[0].metrics:
        assert [split(use.metric, setting)[1] for setting in use.settings] == [Treatment(normalise="unbounded")]


def test_an_entry_says_otherwise_where_it_wants_to() -> None:
    entries = [
        {"sliding-patch": {"compat": None}},
        {"sliding-patch": {"default": {"compat": None, "border": "flush"}, "patch": [5, 7]}},
        {"sliding-patch": {"compat": [None, "sam-2020"]}},
        {"meaningful-perturbation": {"compat": ["8-bit"]}},
    ]
    plain, flush, swept, single = compatible(methods=entries).methods
    assert (plain.default.compat, plain.default.border) == (None, "floor")
    assert {(each.compat, each.border) for each in flush.settings} == {(None, "flush")}
    assert [each.compat for each in swept.settings] == ["sam-2020", None]
    assert single.default.compat == ("8-bit",)


def test_conventions_that_an_entry_contradicts_are_told_at_the_entry(tmp_path: Path) -> None:
    text = (
        "models: [resnet50]\nimages: bundled\ncompat: sam-2020\n"
        "methods:\n  - gradient\n  - sliding-patch: {border: flush}\n"
    )
    message = toys.refusal(text, tmp_path, default_registry(False))
    assert message.startswith("study.yaml:6:20: methods[1].compat: sam-2020 left out the window at the far border")


def test_conventions_that_nothing_has_are_refused(tmp_path: Path) -> None:
    text = "models: [resnet50]\nimages: bundled\nmethods: [gradient]\ncompat: sam-2002\n"
    assert toys.refusal(text, tmp_path).startswith(
        "study.yaml:4:9: compat: no component has the conventions 'sam-2002'; known: sam-2020. Did you mean 'sam-2020'?"
    )
