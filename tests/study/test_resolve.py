"""What a study file becomes, and what is said of one that breaks rules."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
import toys
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sam_toolkit.errors import SpecError
from sam_toolkit.images import Photo
from sam_toolkit.model import Model
from sam_toolkit.registry import Registry
from sam_toolkit.study.resolve import load_study
from sam_toolkit.study.spec import ImagesUse, MethodUse, Study
from sam_toolkit.study.treatment import split
from sam_toolkit.types import Params

REGISTRY = toys.toy_registry()

DESIGN = """\
seed: 0
models: [efficientnet-lite0, {name: resnet50, weights: ./resnet50.pth}]
images: {folder: photos/, boxes: boxes.csv, limit: 50}
inputs: [clean, {gaussian-noise: {sigma: 0.1}}]
methods:
  - smoothgrad:
      samples: [50, 100, 200, 500, 800]
      spread: [0.1, 0.15, 0.3]
      default: {samples: 50, spread: 0.15}
  - sliding-patch: {patch: [11, 17, 29, 41, 53], stride: 8, default: {patch: 29}}
  - sliding-patch: {patch: [52, 53, 54], stride: 8, default: {patch: 53}}
compare:
  - along: settings
    with: default
    metrics: [ssim, spearman, hog, {ssim: {window: [5, 9], gaussian: [false, true]}}]
  - {along: inputs, with: clean, metrics: [ssim, spearman, hog]}
accuracy: [insertion, {deletion: {steps: [10, 50]}}, pointing-game]
"""

MINIMAL: dict[str, Any] = {"models": ["resnet50"], "images": "bundled", "methods": ["gradient"]}


def _load(**entries: Any) -> Study:
    return load_study({**MINIMAL, **entries}, REGISTRY)


def _values(settings: Iterable[Params], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(getattr(setting, name) for name in names) for setting in settings]


def _method(name: str, **fields: Any) -> MethodUse:
    return _load(methods=[{name: fields}]).methods[0]


def test_the_design_example_loads(tmp_path: Path) -> None:
    (tmp_path / "robust.yaml").write_text(DESIGN)
    study = load_study(tmp_path / "robust.yaml", REGISTRY)
    assert (study.title, study.seed, study.reruns, study.random_maps, study.text) == (
        "robust",
        0,
        2,
        2,
        DESIGN,
    )
    assert [(use.name, type(use.source)) for use in study.models] == [
        ("efficientnet-lite0", toys.Lite),
        ("resnet50", toys.Zoo),
    ]
    assert study.models[1].source.params.weights == tmp_path / "resnet50.pth"  # type: ignore[union-attr]
    folder = toys.FolderParams(folder=tmp_path / "photos", boxes=tmp_path / "boxes.csv")
    assert study.images.limit == 50
    assert study.images.source.params == folder  # type: ignore[union-attr]
    assert [(use.name, use.perturbation) for use in study.inputs] == [
        ("clean", None),
        ("gaussian-noise sigma=0.1", toys.Noise),
    ]
    assert [len(use.settings) for use in study.methods] == [7, 5, 3]
    assert [[use.metric.name for use in each.metrics] for each in study.compare] == [
        ["ssim", "spearman", "hog", "ssim"],
        ["ssim", "spearman", "hog"],
    ]
    assert _values(study.compare[0].metrics[3].settings, "window", "gaussian") == [
        (5, False), (5, True), (9, False), (9, True),
    ]  # fmt: skip
    assert [(use.metric, len(use.settings)) for use in study.accuracy] == [
        (toys.Insertion, 1), (toys.Deletion, 2), (toys.Pointing, 1),
    ]  # fmt: skip


def test_a_study_survives_pickling() -> None:
    study = _load(methods=[{"smoothgrad": {"samples": [1, 2]}}], inputs=["gaussian-noise"])
    again = pickle.loads(pickle.dumps(study))
    assert again.methods == study.methods
    assert again.inputs == study.inputs


def test_fields_vary_one_at_a_time_around_the_default() -> None:
    use = _method("smoothgrad", samples=[50, 100], spread=[0.1, 0.3], default={"samples": 100, "spread": 0.3})
    assert _values(use.settings, "samples", "spread") == [(100, 0.3), (50, 0.3), (100, 0.1)]
    assert use.axes == {"samples": (50, 100), "spread": (0.1, 0.3)}
    assert use.default == use.settings[0]


def test_an_unlisted_default_joins_the_axis() -> None:
    use = _method("smoothgrad", samples=[50, 100], spread=[0.1], default={"samples": 75})
    assert use.axes == {"samples": (75, 50, 100), "spread": (0.15, 0.1)}
    assert _values(use.settings, "samples", "spread") == [
        (75, 0.15),
        (50, 0.15),
        (100, 0.15),
        (75, 0.1),
    ]


def test_a_grid_is_the_product_with_the_default_in_front() -> None:
    use = _method(
        "smoothgrad", samples=[50, 100], spread=[0.1, 0.3], default={"samples": 100, "spread": 0.1}, grid=True
    )
    assert use.grid
    assert _values(use.settings, "samples", "spread") == [
        (100, 0.1),
        (50, 0.1),
        (50, 0.3),
        (100, 0.3),
    ]


def test_a_scalar_fixes_a_field_beside_or_in_default() -> None:
    beside = _method("smoothgrad", samples=[50, 100], spread=0.3)
    within = _method("smoothgrad", samples=[50, 100], default={"spread": 0.3})
    assert beside.settings == within.settings
    assert set(_values(beside.settings, "spread")) == {(0.3,)}


def test_a_name_alone_is_the_default_setting() -> None:
    study = _load(methods=["smoothgrad", {"smoothgrad": None}, {"smoothgrad": {}}])
    assert {use.settings for use in study.methods} == {(toys.SmoothParams(),)}
    assert [use.index for use in study.methods] == [0, 1, 2]


@pytest.mark.parametrize(
    ("fields", "axes"),
    [
        ({"colour": [1, 2, 3]}, {}),
        ({"colour": [[1, 2, 3]]}, {"colour": ((0, 0, 0), (1, 2, 3))}),
        ({"colour": [[1, 2, 3], [0, 0, 0]]}, {"colour": ((1, 2, 3), (0, 0, 0))}),
        ({"fill": [0.1, 0.2, 0.3]}, {}),
        ({"fill": ["mean", "black", 0.5]}, {"fill": ("mean", "black", 0.5)}),
        ({"fill": ["mean", [0.1, 0.2, 0.3]]}, {"fill": ("mean", (0.1, 0.2, 0.3))}),
    ],
)
def test_a_list_is_a_value_where_the_type_takes_it(fields: dict[str, Any], axes: dict[str, Any]) -> None:
    assert _method("sliding-patch", **fields).axes == axes


def test_paths_start_at_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "study.yaml").write_text(
        "models: [{name: resnet18, weights: published}]\n"
        "images: {folder: photos, boxes: /data/boxes.csv}\n"
        "methods: [{sliding-patch: {fill: [mean, x.png]}}, {concept: {bank: ../bank.npz}}]\n"
    )
    monkeypatch.chdir(tmp_path.parent)
    study = load_study(Path(tmp_path.name) / "study.yaml", REGISTRY)
    assert study.models[0].source.params.weights == "published"  # type: ignore[union-attr]
    assert study.images.source.params.boxes == Path("/data/boxes.csv")  # type: ignore[union-attr]
    assert study.images.source.params.folder == tmp_path / "photos"  # type: ignore[union-attr]
    assert study.methods[0].axes == {"fill": ("mean", tmp_path / "x.png")}
    assert _values([study.methods[1].default], "bank") == [(tmp_path / "../bank.npz",)]


def test_paths_of_a_mapping_stay_as_they_are() -> None:
    assert _values([_method("concept", bank=Path("x/bank.npz")).default], "bank") == [(Path("x/bank.npz"),)]


def test_the_clean_input_is_in_front_and_lists_make_variants() -> None:
    study = _load(inputs=[{"gaussian-noise": {"sigma": [0.05, 0.1], "seed": [0, 1]}}, "clean"])
    assert [use.name for use in study.inputs] == [
        "clean",
        "gaussian-noise sigma=0.05 seed=0",
        "gaussian-noise sigma=0.05 seed=1",
        "gaussian-noise sigma=0.1 seed=0",
        "gaussian-noise sigma=0.1 seed=1",
    ]


def test_settings_asked_for_twice_are_taken_once() -> None:
    study = _load(
        inputs=["gaussian-noise", {"gaussian-noise": {"sigma": [0.1, 0.2]}}],
        compare=[{"along": "settings", "metrics": ["ssim", {"ssim": {"window": [5, 7]}}]}],
    )
    assert [use.name for use in study.inputs] == ["clean", "gaussian-noise", "gaussian-noise sigma=0.2"]
    assert [tuple(split(use.metric, each)[0] for each in use.settings) for use in study.compare[0].metrics] == [
        (toys.WindowParams(window=7),),
        (toys.WindowParams(window=5),),
    ]


def test_without_compare_the_usual_metrics_go_along_settings_and_inputs() -> None:
    assert [each.along for each in _load().compare] == ["settings"]
    study = _load(inputs=["gaussian-noise"])
    assert [each.along for each in study.compare] == ["settings", "inputs"]
    assert [use.metric.name for use in study.compare[1].metrics] == ["ssim", "spearman", "hog"]


def test_without_compare_unknown_metrics_are_left_out() -> None:
    registry = Registry()
    registry.register(toys.ToyPlugin(toys.Plain, toys.Zoo, toys.Bundled, toys.Rank), "few")
    study = load_study(MINIMAL, registry)
    assert [use.metric for use in study.compare[0].metrics] == [toys.Rank]


def test_an_empty_compare_compares_nothing() -> None:
    assert _load(compare=[]).compare == ()


def test_given_models_are_named_or_all_taken() -> None:
    wrapped = Model(nn.Identity(), "inner")
    given: dict[str, nn.Module | Model] = {"mine": nn.Linear(2, 2), "other": wrapped}
    named = load_study({**MINIMAL, "models": [{"name": "mine", "as": "ours"}, "resnet50"]}, REGISTRY, models=given)
    assert [(use.name, use.model) for use in named.models] == [("ours", "mine"), ("resnet50", "resnet50")]
    assert named.models[0].source.module is given["mine"]  # type: ignore[union-attr]
    unnamed = load_study({"images": "bundled", "methods": ["gradient"]}, REGISTRY, models=given)
    assert [use.name for use in unnamed.models] == ["mine", "other"]
    assert unnamed.models[1].source is wrapped


def test_given_models_that_the_study_ignores_are_an_error() -> None:
    with pytest.raises(SpecError, match=r"^models: names none of the models given: mine\."):
        load_study(MINIMAL, REGISTRY, models={"mine": nn.Identity()})


def test_given_models_take_no_fields() -> None:
    study = {**MINIMAL, "models": [{"name": "mine", "weights": "x.pth"}]}
    with pytest.raises(
        SpecError, match=r"models\[0\]\.weights: 'mine', a model given through the API, has no 'weights'"
    ):
        load_study(study, REGISTRY, models={"mine": nn.Identity()})


def test_given_photos_take_the_place_of_images() -> None:
    photo = Photo("one", torch.zeros(3, 4, 4), "digest")
    without = {"models": ["resnet50"], "methods": ["gradient"]}
    for study in (MINIMAL, without):
        assert load_study(study, REGISTRY, photos=[photo]).images == ImagesUse((photo,))


def test_a_source_is_chosen_by_name_where_several_serve_a_model() -> None:
    study = _load(models=[{"name": "shared-net", "source": "zoo"}, {"name": "whatever", "source": "anything"}])
    assert [type(use.source) for use in study.models] == [toys.Zoo, toys.Anything]


@pytest.mark.parametrize("own", [toys.Lite, toys.Zoo])
def test_a_built_in_source_goes_before_those_of_plugins(own: type[toys.Lite] | type[toys.Zoo]) -> None:
    registry = Registry()
    registry.register(toys.ToyPlugin(toys.Plain, toys.Folder, toys.Bundled, toys.Windowed, own), "sam_toolkit")
    registry.register(toys.ToyPlugin(*{toys.Lite, toys.Zoo} - {own}), "others")
    study = load_study({**MINIMAL, "models": ["shared-net"]}, registry)
    assert [type(use.source) for use in study.models] == [own]


@pytest.mark.parametrize("images", ["bundled", {"bundled": None}, {"bundled": True, "limit": 2}])
def test_a_source_without_a_field_of_its_name_needs_no_value(images: Any) -> None:
    study = _load(images=images)
    assert isinstance(study.images.source, toys.Bundled)
    assert study.images.limit == (2 if isinstance(images, dict) and "limit" in images else None)


def test_the_title_is_the_given_one_or_the_file_s(tmp_path: Path) -> None:
    assert _load().title == "study"
    assert _load(title="Which patch?").title == "Which patch?"


def test_the_text_of_a_mapping_is_yaml_of_the_same_study(tmp_path: Path) -> None:
    study = _load(seed=4, methods=[{"smoothgrad": {"spread": [1e-5, 0.5], "default": {"samples": 3}}}])
    (tmp_path / "study.yaml").write_text(study.text)
    again = load_study(tmp_path / "study.yaml", REGISTRY)
    assert (again.methods, again.seed, again.compare) == (study.methods, study.seed, study.compare)


_SAMPLES = st.lists(st.integers(1, 1000), min_size=1, max_size=4, unique=True)
_SPREADS = st.lists(st.floats(0.001, 5), min_size=1, max_size=4, unique=True)


@given(_SAMPLES, _SPREADS, st.booleans())
def test_a_sweep_holds_exactly_the_listed_settings(samples: list[int], spreads: list[float], grid: bool) -> None:
    default = {"samples": samples[-1], "spread": spreads[0]}
    use = _method("smoothgrad", samples=samples, spread=spreads, default=default, grid=grid)
    product = itertools.product(samples, spreads)
    wanted = {(n, s) for n, s in product if grid or n == samples[-1] or s == spreads[0]}
    found = _values(use.settings, "samples", "spread")
    assert found[0] == (samples[-1], spreads[0])
    assert sorted(found) == sorted(wanted)
    assert use.axes == {"samples": tuple(samples), "spread": tuple(spreads)}
