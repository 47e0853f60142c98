"""The contract of attribution methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sam_toolkit.bounding import Kept
from sam_toolkit.component import MapFacts, Method
from sam_toolkit.model import Model, Rows
from sam_toolkit.rng import Rng
from sam_toolkit.testing.declarations import check_declarations
from sam_toolkit.testing.derivatives import check_gradient
from sam_toolkit.testing.examples import batch_of, small_batch, small_model
from sam_toolkit.testing.settings import affordable, class_and_setting, settings_in_groups
from sam_toolkit.testing.stacks import Settings, Trial, check_draws, check_groups, check_traces
from sam_toolkit.testing.verdict import in_words, require
from sam_toolkit.types import Batch, Params

_WIDE = (40, 56)


def check_method(
    method: type[Method[Any]] | Method[Any],
    settings: Sequence[Params] | None = None,
    model: Model | nn.Module | None = None,
    images: Batch | Tensor | None = None,
) -> None:
    """Raise ConformanceError where a method breaks its contract; takes seconds with the defaults.

    Args:
        method: a class, or an instance whose setting replaces the defaults.
        settings: what it is checked with; without them the defaults and their neighbours, with whole numbers
            lowered that cost many network rows.
        model: what it explains; without it `small_model()`.
        images: a batch, or images `[N, C, H, W]` whose targets are predicted; without them `small_batch()`.
    """
    component, base = class_and_setting(method)
    check_declarations(component)
    model = Model.of(model or small_model())
    trial = _trial(component, model, batch_of(images, model))
    base = settings[0] if settings else affordable(base, lambda one: component(one).rows([one], trial.image_shape))
    check_traces(trial, base)
    groups = settings_in_groups(component, base, settings, trial.accepts)
    check_groups(trial, groups)
    for group in groups:
        _check_promises(trial, group)
        _check_kept(trial, group)
        check_draws(trial, group[0], visible=True)
        check_gradient(component, group[0])
    if images is None:
        _check_other_size(_trial(component, model, small_batch(_WIDE)), groups[0])


def _trial(component: type[Method[Any]], model: Model, batch: Batch) -> Trial:
    return Trial(
        component,
        lambda network, images, settings, rng: component(settings[0]).maps(network, images, settings, rng),
        f"{component.__name__}.maps",
        "[S, N, H, W]",
        1,
        torch.float32,
        lambda count, images: (count, len(images), *images.images.shape[-2:]),
        model,
        batch,
    )


def _check_promises(trial: Trial, group: Settings) -> None:
    """Require that rows(), facts() and grid() tell what comes out for the group."""
    component = trial.component(group[0])
    assert isinstance(component, Method)
    stack, counted = trial.counted(group)
    _check_rows(trial, component, group, counted)
    for setting, maps in zip(group, stack, strict=True):
        _check_facts(component, setting, (float(maps.min()), float(maps.max())))
        _check_grid(component, setting, trial.image_shape[1:])


def _check_rows(trial: Trial, component: Method[Any], group: Settings, counted: Rows) -> None:
    count, promised = len(trial.batch), component.rows(group, trial.image_shape)
    who = f"{type(component).__name__}.rows, {len(group)} settings from {in_words(group[0])} on"
    found = (
        f"promises {promised} rows an image, {promised * count} for {count} images of {trial.image_shape}; "
        f"Model counted {counted.forward}."
    )
    require(
        promised * count == counted.forward,
        who,
        found,
        "Count what the whole group costs; send all rows through Model.",
    )
    backward = counted.backward > 0
    found = f"is {component.gradients}, but Model counted {counted.backward} backward rows of {counted.forward}."
    fits = backward == component.gradients or counted.forward == 0
    require(fits, f"{type(component).__name__}.gradients", found, f"Declare `gradients = {backward}`.")


def _check_grid(component: Method[Any], setting: Params, size: tuple[int, int]) -> None:
    height, width = size
    grid = tuple(component.grid(setting, size))
    inside = len(grid) == 2 and 1 <= grid[0] <= height and 1 <= grid[1] <= width
    who = f"{type(component).__name__}.grid{in_words(setting)}"
    found = f"gives {grid} for images of {height} x {width}."
    require(inside, who, found, "Return (rows, columns) between 1 and those.")


def _check_kept(trial: Trial, group: Settings) -> None:
    """Require that explained() gives the maps of maps(), and bounds() no change where there is none."""
    method, rng = trial.component(group[0]), Rng(0).child(trial.component.name)
    assert isinstance(method, Method)
    if type(method).explained is Method.explained:
        return
    found = method.explained(trial.model, trial.batch, group, rng)
    slack = method.tolerance * float(found.maps.abs().max())
    same = torch.allclose(found.maps, method.maps(trial.model, trial.batch, group, rng), rtol=0, atol=slack)
    who = f"{type(method).__name__}.explained{in_words(group[0])}"
    require(same, who, "gives other maps than maps().", "Let one call the other.")
    counts = [len(row) for row in found.beside]
    said = f"keeps things beside {counts} maps of {len(group)} settings and {len(trial.batch)} images."
    require(counts == [len(trial.batch)] * len(group), who, said, "Return beside as [S][N].")
    for setting, row in zip(group, found.beside, strict=True):
        kept = Kept(setting, trial.batch.ids[0], trial.model.fingerprint, row[0])
        chain = method.bounds(kept, kept, [(kept, kept)], rng)
        still = chain is None or (chain.measured == chain.floor == 0 and not chain.broken)
        said = "moves an attribution away from itself, or breaks its own bounds there."
        require(still, f"{type(method).__name__}.bounds{in_words(setting)}", said, "Compare the two that are given.")


def _check_facts(component: Method[Any], setting: Params, extremes: tuple[float, float]) -> None:
    who = f"{type(component).__name__}.facts{in_words(setting)}"
    facts = component.facts(setting)
    low, high = extremes
    require(isinstance(facts, MapFacts), who, f"gives {facts!r}.", "Return MapFacts(signed=..., value_range=...).")
    advice = "Declare `signed=True`, or return magnitudes."
    require(
        facts.signed or low >= 0, who, f"promises maps that are not negative; the smallest value is {low:.4g}.", advice
    )
    if facts.value_range is not None:
        floor, ceiling = facts.value_range
        slack = component.tolerance * max(abs(floor), abs(ceiling))
        held = floor < ceiling and floor - slack <= low and high <= ceiling + slack
        found = f"promises values in [{floor:g}, {ceiling:g}]; they go from {low:.4g} to {high:.4g}."
        require(held, who, found, "Declare a range that holds by construction, or None.")


def _check_other_size(trial: Trial, group: Settings) -> None:
    """Require the same of images that are not square, where the method takes them."""
    accepted = [setting for setting in group if trial.accepts(setting)]
    if accepted:
        _check_promises(trial, accepted)
