"""The contract of accuracies of a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from sam_toolkit.component import MapMetric
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.testing.declarations import check_declarations
from sam_toolkit.testing.examples import batch_of, small_batch, small_maps, small_model
from sam_toolkit.testing.settings import affordable, class_and_setting, settings_in_groups
from sam_toolkit.testing.stacks import Compute, Settings, Trial, check_draws, check_groups, check_traces
from sam_toolkit.testing.surroundings import left_as_found
from sam_toolkit.testing.verdict import in_words, require, require_same
from sam_toolkit.types import Batch, Params

_MAPS = 4
_WIDE = (40, 56)
_MOST_ROWS = 256
"""Network rows an image above which a neighbour of the defaults is left out, so that a check takes seconds."""


def check_map_metric(
    metric: type[MapMetric[Any]] | MapMetric[Any],
    settings: Sequence[Params] | None = None,
    model: Model | nn.Module | None = None,
    images: Batch | Tensor | None = None,
) -> None:
    """Raise ConformanceError where a map metric breaks its contract; takes seconds with the defaults.

    Args:
        metric: a class, or an instance whose setting replaces the defaults.
        settings: what it is checked with; without them the defaults and their neighbours, with whole numbers
            lowered that cost many network rows; neighbours that still do are left out.
        model: what was explained; without it `small_model()`.
        images: a batch, or images `[N, C, H, W]` whose targets are predicted; without them `small_batch()`.
            A metric that needs boxes needs a batch with one for every image.
    """
    component, base = class_and_setting(metric)
    check_declarations(component)
    model = Model.of(model or small_model())
    batch = batch_of(images, model)
    maps = small_maps(_MAPS, batch)
    trial = _trial(component, maps, model, batch)
    base = settings[0] if settings else affordable(base, lambda setting: _rows(trial, [setting]))
    check_traces(trial, base)
    groups = settings_in_groups(component, base, settings, lambda setting: _cheap(trial, setting))
    check_groups(trial, groups)
    for group in groups:
        _check_rows(trial, group)
        _check_maps_order(trial, group, maps)
        check_draws(trial, group[0], visible=False)
    if component.needs_boxes:
        _check_without_boxes(trial, groups[0])
    if images is None:
        wide = small_batch(_WIDE)
        _check_other_size(_trial(component, small_maps(_MAPS, wide), model, wide), groups[0])


def _trial(component: type[MapMetric[Any]], maps: Tensor, model: Model, batch: Batch) -> Trial:
    return Trial(
        component,
        _scoring(component, maps, batch.ids),
        f"{component.__name__}.score",
        "[S, M, N]",
        2,
        torch.float64,
        lambda count, images: (count, len(maps), len(images)),
        model,
        batch,
    )


def _scoring(component: type[MapMetric[Any]], maps: Tensor, ids: tuple[str, ...]) -> Compute:
    """Return what scores the maps `[M, N, H, W]` of images `ids`, in whichever order a batch has them."""

    def score(model: Model, batch: Batch, settings: Settings, rng: Rng) -> Tensor:
        chosen = maps[:, [ids.index(image_id) for image_id in batch.ids]]
        with left_as_found(f"{component.__name__}.score", nn.Identity(), {"maps": chosen}):
            return component(settings[0]).score(model, batch, chosen, settings, rng)

    return score


def _rows(trial: Trial, group: Settings) -> int:
    """Return the network rows an image that scoring the maps is declared to cost."""
    component = trial.component(group[0])
    assert isinstance(component, MapMetric)
    channels, height, width = trial.batch.images.shape[1:]
    return component.rows(group, _MAPS, (channels, height, width))


def _cheap(trial: Trial, setting: Any) -> bool:
    """Return whether the metric takes the setting, and it costs few network rows."""
    return _rows(trial, [setting]) <= _MOST_ROWS and trial.accepts(setting)


def _check_rows(trial: Trial, group: Settings) -> None:
    count, shape = len(trial.batch), tuple(trial.batch.images.shape[1:])
    promised = _rows(trial, group)
    counted = trial.counted(group)[1].forward
    found = (
        f"promises {promised} rows an image for {_MAPS} maps, {promised * count} for {count} images of "
        f"{shape}; Model counted {counted}."
    )
    who = f"{trial.component.__name__}.rows, {len(group)} settings from {in_words(group[0])} on"
    require(promised * count == counted, who, found, "Count what the whole group costs; send all rows through Model.")


def _check_maps_order(trial: Trial, group: Settings, maps: Tensor) -> None:
    component = trial.component
    assert issubclass(component, MapMetric)
    backwards = _trial(component, maps.flip(0), trial.model, trial.batch).run(group).flip(1)
    advice = "Score each map by itself."
    trial.same(backwards, trial.run(group), group, "maps in reverse order", advice)


def _check_other_size(trial: Trial, group: Settings) -> None:
    """Require the same of images that are not square, where the metric takes them."""
    accepted = [setting for setting in group if trial.accepts(setting)]
    if accepted:
        _check_rows(trial, accepted)


def _check_without_boxes(trial: Trial, group: Settings) -> None:
    """Require NaN where an image has no box, and no change for those that have."""
    boxes = trial.batch.boxes
    expected = trial.run(group)
    for kept in ([], list(range(1, len(trial.batch)))):
        rest = None if boxes is None or not kept else boxes[boxes[:, 0] > 0]
        scores = trial.call(trial.model, replace(trial.batch, boxes=rest), group, Rng(0).child(trial.component.name))
        due = expected.clone()
        due[..., [n for n in range(len(trial.batch)) if n not in kept]] = torch.nan
        who = f"{trial.who}, {len(trial.batch) - len(kept)} of {len(trial.batch)} images without boxes"
        advice = "Return NaN for those images and the usual score for the others."
        require_same(scores, due, trial.component.tolerance, list(group), who, advice)
