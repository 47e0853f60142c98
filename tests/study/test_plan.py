"""Groups, sharing and the cost of a plan; which maps a study needs."""

from __future__ import annotations

import pytest
from nets import colour_net
from study.small import STUDY, images

from sam_toolkit.api import photos_of
from sam_toolkit.registry import default_registry
from sam_toolkit.study.estimate import Forgetful
from sam_toolkit.study.plan import make_plan
from sam_toolkit.study.prepare import prepare
from sam_toolkit.study.resolve import load_study

ALONG_SETTINGS = {"inputs": ["clean"], "compare": [{"along": "settings", "metrics": ["ssim"]}]}


def planned(count=3, **changes):
    study = load_study(
        {**STUDY, **changes},
        default_registry(False),
        models={"net": colour_net()},
        photos=photos_of(images(count)),
    )
    return study, make_plan(study, prepare(study, "cpu", Forgetful()))


def test_nested_samples_cost_the_longest_run():
    sweep = {"samples": [50, 100, 200, 500, 800], "default": {"samples": 50}}
    _, plan = planned(2, methods=[{"smoothgrad": sweep}], reruns=0, **ALONG_SETTINGS)
    assert [(group.rows, group.alone) for group in plan.groups] == [(800, 1650)]
    assert (plan.rows, plan.rows_alone) == (1600, 3300)


def test_a_setting_of_two_experiments_is_computed_once():
    twice = [
        {"sliding-patch": {"patch": [4, 8], "stride": 8}},
        {"sliding-patch": {"patch": [8, 16], "stride": 8}},
    ]
    _, plan = planned(methods=twice, **ALONG_SETTINGS)
    keys = [key for task in plan.tasks for row in task.keys for key in row]
    assert len(keys) == len(set(keys))
    assert plan.rows < plan.rows_alone


def test_every_key_of_a_plan_is_unique_and_plans_repeat():
    _, plan = planned()
    keys = [key for task in plan.tasks for row in task.keys for key in row]
    assert len(keys) == len(set(keys)) == plan.maps
    assert plan == planned()[1]


def test_only_the_default_setting_is_computed_on_changed_inputs():
    study, plan = planned()
    noisy = [group for group in plan.groups if group.input == 1]
    assert all(len(group.settings) == 1 for group in noisy)
    assert {group.settings[0] for group in noisy} == {use.default for use in study.methods}


def test_without_a_comparison_along_inputs_no_changed_input_is_explained():
    _, plan = planned(compare=ALONG_SETTINGS["compare"])
    assert {group.input for group in plan.groups} == {0}


def test_reruns_are_planned_for_methods_that_draw_only():
    study, plan = planned(reruns=3, **ALONG_SETTINGS)
    seeds = {use.method.name: set() for use in study.methods}
    for group in plan.groups:
        seeds[study.methods[group.method].method.name] |= {getattr(setting, "seed", 0) for setting in group.settings}
    assert seeds["smoothgrad"] == {0, 1, 2, 3}
    assert seeds["gradient"] == {0}
    assert seeds["sliding-patch"] == {0}


@pytest.mark.parametrize("changes", [{"seed": 4}, {"models": ["net"], "reruns": 2, "seed": 5}])
def test_another_seed_gives_other_keys(changes):
    first = {key for task in planned()[1].tasks for row in task.keys for key in row}
    second = {key for task in planned(**changes)[1].tasks for row in task.keys for key in row}
    assert not first & second


def test_more_images_leave_the_keys_of_the_first_as_they_are():
    few = {key for task in planned(2)[1].tasks for row in task.keys for key in row}
    more = {key for task in planned(5)[1].tasks for row in task.keys for key in row}
    assert few < more
