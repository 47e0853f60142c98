from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from bench.fake_clock import any_work
from click.testing import CliRunner
from nets import colour_batch, colour_model
from rich.console import Console

from sam_toolkit import allocator, ops
from sam_toolkit.bench import growth, growth_settings, sides, study, study_tables
from sam_toolkit.bench.growth_settings import AXES, Point
from sam_toolkit.bench.records import Agreement
from sam_toolkit.bench.script import Way
from sam_toolkit.bench.sides import ALL, COMPARISONS, Opened, Side
from sam_toolkit.bench.study_records import GrowthReport, Part, Speeds, StudyReport, StudyResult
from sam_toolkit.bench.study_settings import MASKS, NETWORKS, SCALES, Scale, StudyCase
from sam_toolkit.bench.trials import try_out
from sam_toolkit.cli import main
from sam_toolkit.images import Photo
from sam_toolkit.registry import default_registry
from sam_toolkit.study.resolve import load_study
from sam_toolkit.types import tensor_digest

TINY = Scale(
    samples=(3, 5), spreads=(0.2, 0.1), patches=((9, 5),), stride=6, lime=(20, 30), seeds=(0, 1), iterations=(2, 4),
    inits=("circular", "ones"), blurs=(10.0, 5.0), steps=4,
)  # fmt: skip
SPEEDS = Speeds(forward=1e-5, backward=2e-5, masks=5e-4, ways={})


@pytest.fixture(autouse=True)
def ready(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in allocator.VARIABLES.items():
        monkeypatch.setenv(name, value)
    if not ops.status()[0].loaded:
        monkeypatch.setenv("SAM_TOOLKIT_OPS", "reference")


@pytest.fixture(scope="module")
def opened() -> Opened:
    """A small study of an image that is at network size."""
    image = (colour_batch(1).images[0] * 255).round() / 255
    photo = Photo("image", image, tensor_digest(image), 3)
    mapping = {**StudyCase("colour", "quick").mapping(), "methods": TINY.methods(), "models": ["colour"]}
    model = colour_model()
    model.categories = tuple(map(str, range(10)))  # else a row is spent on counting them
    study = load_study(mapping, default_registry(), models={"colour": model}, photos=(photo,))
    return Opened(model, photo, study)


@pytest.fixture(scope="module")
def ours(opened: Opened) -> Side:
    return sides.by_toolkit(opened, 0)


def ways(library: Any) -> dict[str, Way]:
    return {use: Way(library, "channels_last", 4) for use in sides._MAKERS}


@pytest.fixture(scope="module")
def script(opened: Opened) -> Side:
    return sides.by_script(opened, ways("loop"))


def agreements(opened: Opened, script: Side, ours: Side) -> dict[str, bool]:
    found = study.lines(opened, script, ours, SPEEDS)
    return {line.name: line.agreement.holds for line in found if line.agreement is not None}


@pytest.mark.filterwarnings("default")  # what other libraries warn about is theirs
@pytest.mark.parametrize("library", ["loop", "captum"])
def test_the_script_computes_the_maps_and_similarities_of_ours(opened: Opened, ours: Side, library: str) -> None:
    pytest.importorskip("lime")
    found = sides.by_script(opened, ways(library))
    assert set(found.maps) == set(ours.maps)
    assert len(ours.maps) == 15
    held = agreements(opened, found, ours)
    assert set(held) == {"smoothgrad", "sliding-patch", "lime", "meaningful-perturbation", COMPARISONS}
    assert all(held.values())


@pytest.mark.parametrize("method", ["smoothgrad", "sliding-patch", "lime", "meaningful-perturbation"])
def test_a_map_that_is_moved_by_a_pixel_or_undefined_is_not_ours(
    opened: Opened, ours: Side, script: Side, method: str
) -> None:
    name = next(one for one in ours.maps if one.startswith(method))
    for wrong in (np.roll(script.maps[name], 1, axis=1), np.full_like(script.maps[name], np.nan)):
        changed = replace(script, maps={**script.maps, name: wrong})
        if method != "meaningful-perturbation" or np.isnan(wrong).any():  # whose maps are smooth after a few steps
            assert not agreements(opened, changed, ours)[method]


def test_rows_are_counted_and_shared(opened: Opened, ours: Side, script: Side) -> None:
    windows = 5 * 5 + 6 * 6  # 9 and 5 pixels every 6, the last one flush with the border
    discs = 6
    assert ours.parts["smoothgrad"] == replace_seconds(ours, "smoothgrad", forward=5 + 3 + 3, backward=11)
    assert script.parts["smoothgrad"].forward == 3 + 5 + 3 + 3
    assert ours.parts["sliding-patch"].forward == windows + 1
    assert script.parts["sliding-patch"].forward == windows + 2
    assert ours.parts["lime"].forward == 30 + 30
    assert script.parts["lime"].forward == 20 + 30 + 30
    assert ours.parts["meaningful-perturbation"].backward == 5 * 4
    assert script.parts["meaningful-perturbation"].backward == 2 + 5 * 4
    assert ours.parts["meaningful-perturbation"].forward == 5 * 4 + 2 * discs
    total = list(study.lines(opened, script, ours, SPEEDS))[-1]
    assert total.name == ALL
    assert total.script.forward == sum(part.forward for part in script.parts.values())


def replace_seconds(side: Side, name: str, **rows: int) -> Part:
    return Part(seconds=side.parts[name].seconds, **rows)


def test_masks_are_judged_by_their_first_steps_where_these_are_known(opened: Opened, script: Side, ours: Side) -> None:
    first = {MASKS: Agreement(difference=0.03, tolerance=0.02, against="")}
    lines = {line.name: line.agreement for line in study.lines(opened, script, ours, SPEEDS, first)}
    found = lines[MASKS]
    assert found is not None
    assert not found.holds
    assert "after 10 steps; in the end" in found.against
    begun = StudyCase("vgg16", "fewer", begun=True).mapping()["methods"]
    assert [list(one) for one in begun] == [[MASKS]] * 4
    assert all(one[MASKS].get("iterations", 10) in (10, [5, 10]) for one in begun)


def test_the_bound_is_what_our_rows_take_in_the_bare_network(opened: Opened, ours: Side, script: Side) -> None:
    lines = {line.name: line for line in study.lines(opened, script, ours, SPEEDS)}
    assert lines["smoothgrad"].floor == pytest.approx(11 * 2e-5)
    assert lines["lime"].floor == pytest.approx(60 * 1e-5)
    assert 0 < lines["sliding-patch"].least < 1
    assert lines["sliding-patch"].floor == pytest.approx(62 * 1e-5 * lines["sliding-patch"].least)
    searched = ours.parts[MASKS].forward - ours.parts[MASKS].backward
    assert lines[MASKS].floor == pytest.approx(5e-4 + searched * 1e-5)
    assert lines[ALL].floor == pytest.approx(sum(line.floor for name, line in lines.items() if name != ALL))
    assert lines["lime"].possible * lines["lime"].share == pytest.approx(lines["lime"].reached)


def test_steps_of_masks_have_a_row_for_each_that_goes_on(opened: Opened) -> None:
    assert opened.mask_steps() == {5: 4}
    longer = {**StudyCase("colour", "quick").mapping(), "methods": replace(TINY, iterations=(2, 7)).methods()}
    case = replace(opened, study=load_study(longer, default_registry(), models={"colour": opened.model}))
    assert case.mask_steps() == {5: 4, 1: 3}


def result(opened: Opened, script: Side, ours: Side) -> StudyResult:
    lines = tuple(study.lines(opened, script, ours, SPEEDS))
    return StudyResult(
        network="colour", extent="quick", maps=4096, lines=lines, speeds=SPEEDS, peak={"script": 2**20, "ours": 2**20}
    )


def printed(value: StudyResult) -> str:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(study_tables.study_table(value))
    return captured.get()


def test_times_are_shown_only_of_the_same_maps(opened: Opened, ours: Side, script: Side) -> None:
    name = next(one for one in ours.maps if one.startswith("lime"))
    wrong = replace(script, maps={**script.maps, name: script.maps[name] + 1})
    right = printed(result(opened, script, ours))
    assert "possible" in right
    assert all(f"\n {name} " in right for name in ours.parts)
    assert "…" not in right
    text = printed(result(opened, wrong, ours))
    assert "RESULT IS NOT OURS" in text
    assert "possible" not in text


def test_trials_choose_a_way_for_each_method(opened: Opened) -> None:
    pytest.importorskip("captum")
    found = try_out(opened.model.module, opened.seen(), {5: 4, 1: 3}, any_work())
    assert set(found.ways) == set(sides._MAKERS)
    assert found.speeds.forward == pytest.approx(1 / 32)
    assert found.speeds.masks == pytest.approx(7)
    opened.model.module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


@pytest.mark.parametrize("extent", SCALES)
def test_every_extent_is_a_study(extent: Any) -> None:
    mapping = StudyCase(NETWORKS[0], extent).mapping()
    found = load_study(mapping, default_registry(), models={NETWORKS[0]: colour_model()})
    assert [use.settings[0] for use in found.methods] == [use.default for use in found.methods]
    assert all(len(use.settings) > 1 for use in found.methods)


def test_study_writes_what_it_prints(
    opened: Opened, ours: Side, script: Side, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    cases = []
    monkeypatch.setattr(study, "run_case", lambda case, say: cases.append(case) or result(opened, script, ours))
    file = tmp_path / "study.json"
    done = CliRunner().invoke(main, ["bench", "study", "--quick", "--threads", "1", "--json", str(file)])
    assert done.exit_code == 0, done.output
    assert cases == [StudyCase(NETWORKS[0], "quick", threads=1)]
    found = StudyReport.model_validate_json(file.read_text())
    assert found.studies == (result(opened, script, ours),)
    assert "Study of one photograph" in done.stdout


def test_growth_counts_rows_that_settings_share(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(growth, "alone", lambda call, *arguments: call(*arguments))
    small = {"settings": ("settings", (2, 3), lambda amount: Point(amount, growth_settings._smoothgrad((2, 4)), 32))}
    monkeypatch.setattr(growth, "AXES", {**AXES, **small})
    file = tmp_path / "sharing.json"
    done = CliRunner().invoke(main, ["bench", "sharing", "--axis", "settings", "--threads", "1", "--json", str(file)])
    assert done.exit_code == 0, done.output
    steps = GrowthReport.model_validate_json(file.read_text()).growths[0].steps
    assert [(step.amount, step.rows, step.rows_alone, step.maps) for step in steps] == [(2, 4, 6, 2), (3, 4, 6, 2)]
    assert "Growing: settings" in done.stdout


@pytest.mark.parametrize("axis", AXES)
def test_every_point_of_growth_is_a_study(axis: str) -> None:
    _, amounts, point = AXES[axis]
    photos = (Photo("image", torch.rand(3, 32, 32), "digest", 0),)
    for amount in amounts:
        load_study(point(amount).mapping(), default_registry(), models={"small": growth.small_network()}, photos=photos)
