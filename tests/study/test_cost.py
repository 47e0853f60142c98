"""What sharing saves, method by method, beside what the floors cost."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from nets import colour_net
from rich.console import Console
from study.small import STUDY, images
from torch import nn

from sam_toolkit.api import photos_of
from sam_toolkit.registry import default_registry
from sam_toolkit.study.cost import Cost, method_costs, together
from sam_toolkit.study.estimate import ALL, MAPS, Estimate, Forgetful, estimate
from sam_toolkit.study.estimate_table import table
from sam_toolkit.study.prepare import prepare
from sam_toolkit.study.resolve import load_study
from sam_toolkit.study.spec import Study

SAMPLES = {"smoothgrad": {"samples": [50, 100, 200, 500, 800], "default": {"samples": 50}}}
SPREADS = {"smoothgrad": {"spread": [0.1, 0.2], "samples": 50, "default": {"spread": 0.2}}}


def small(net: nn.Module | None = None, **changes: Any) -> Study:
    given = {"models": {"net": net or colour_net()}, "photos": photos_of(images(2))}
    return load_study({**STUDY, "methods": [SAMPLES, SPREADS], **changes}, default_registry(False), **given)


def costs(**changes: Any) -> list[Cost]:
    study = small(**changes)
    return method_costs(study, prepare(study, "cpu", Forgetful()))


def estimated(net: nn.Module | None = None, **changes: Any) -> Estimate:
    return estimate(small(net, **changes), "cpu")


def test_the_experiments_of_a_method_are_priced_together_and_apart():
    clean = {"inputs": ["clean"], "compare": [{"along": "settings", "metrics": ["ssim"]}]}
    assert costs(reruns=2, **clean) == [Cost("smoothgrad", 800 + 2 * 50, 1650 + 2 * 50, 2 * 2 * 50)]
    assert costs(reruns=0, **clean) == [Cost("smoothgrad", 900, 1750)]


def test_inputs_and_models_count_in_full():
    along = [{"along": "settings", "metrics": ["ssim"]}, {"along": "inputs", "metrics": ["ssim"]}]
    noisy = {"inputs": ["clean", "gaussian-noise"], "compare": along, "reruns": 0}
    assert costs(**noisy) == [Cost("smoothgrad", 900 + 2 * 50, 1750 + 2 * 50)]


def test_an_input_that_no_comparison_of_the_method_asks_for_costs_nothing():
    along = [{"along": "settings", "metrics": ["ssim"]}, {"along": "inputs", "of": ["gradient"], "metrics": ["ssim"]}]
    found = costs(methods=[SAMPLES, "gradient"], inputs=["clean", "gaussian-noise"], compare=along, reruns=0)
    assert found == [Cost("smoothgrad", 800, 1650), Cost("gradient", 2, 2)]


def test_a_plan_says_what_a_row_of_sliding_patch_is():
    patch = {"sliding-patch": {"patch": [5, 9], "stride": 9, "default": {"patch": 5}}}
    hooked = colour_net()
    hooked[2].register_forward_hook(lambda *_: None)
    for net, how in ((colour_net(), "only what a window changes is computed: "), (hooked, "whole rows, for MaxPool2d")):
        found = estimated(net, methods=[patch, "gradient"])
        lines = {line.method: line for line in found.groups}
        assert lines["sliding-patch"].how.startswith(how)
        assert lines["gradient"].how == ""
        console = Console(file=StringIO(), width=400)
        console.print(table(found))
        assert f"sliding-patch on net: {how}" in console.file.getvalue()


def test_costs_add_up_to_the_estimate():
    found = estimated(accuracy=["deletion", "pointing-game"])
    named = {cost.name: cost for cost in found.costs}
    assert list(named) == ["smoothgrad", MAPS, "deletion", ALL]
    assert found.images * (named[ALL].rows + named[ALL].floors) == found.rows
    assert named[ALL] == together(ALL, [named["smoothgrad"], named["deletion"]])
    assert [cost.name for cost in estimated().costs] == ["smoothgrad", MAPS]


def test_a_plan_on_the_terminal_says_what_share_is_left():
    console = Console(width=160, record=True, file=StringIO())
    console.print(table(estimated(reruns=0)))
    text = console.export_text()
    assert "network rows an image" in text
    assert "samples=800" not in text
    assert "1,000" in text
    assert "54 %" in text


def test_a_plan_names_what_is_computed_together_where_it_is_asked():
    console = Console(width=160, record=True, file=StringIO())
    console.print(table(estimated(reruns=0), groups=True))
    text = console.export_text()
    assert "smoothgrad: 800 rows, 1,650 by themselves" in text
    assert "samples=800" in text


@pytest.mark.parametrize(("cost", "share"), [(Cost("x", 1, 4), 0.25), (Cost("x", 0, 0), 1.0)])
def test_a_share_is_of_the_rows_alone(cost: Cost, share: float):
    assert cost.share == share
