"""The contract of perturbations of the input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from sam_toolkit.component import Perturbation, Perturbed
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.testing.declarations import check_declarations
from sam_toolkit.testing.examples import batch_of, small_batch, small_model
from sam_toolkit.testing.settings import affordable, class_and_setting, settings_in_groups
from sam_toolkit.testing.stacks import Settings, Trial, check_draws, check_groups, check_traces
from sam_toolkit.testing.verdict import in_words, require
from sam_toolkit.types import Batch, Params

_COSTLY = 8
"""Network rows an image above which a default is lowered: attacks take them for each of many settings."""
_SIZE = (32, 32)


def check_perturbation(
    perturbation: type[Perturbation[Any]] | Perturbation[Any],
    settings: Sequence[Params] | None = None,
    model: Model | nn.Module | None = None,
    images: Batch | Tensor | None = None,
) -> None:
    """Raise ConformanceError where a perturbation breaks its contract; takes seconds with the defaults.

    Args:
        perturbation: a class, or an instance whose setting replaces the defaults.
        settings: what it is checked with; without them the defaults and their neighbours.
        model: what an attack attacks; without it `small_model()`.
        images: a batch, or images `[N, C, H, W]` whose targets are predicted; without them
            those of `small_batch((32, 32))`.
    """
    component, base = class_and_setting(perturbation)
    check_declarations(component)
    model = Model.of(model or small_model())
    trial = Trial(
        component,
        lambda network, batch, group, rng: _perturbed(component(group[0]), network, batch, group, rng).images,
        f"{component.__name__}.perturbed",
        "[S, N, C, H, W]",
        1,
        torch.float32,
        lambda count, batch: (count, *batch.images.shape),
        model,
        _explained(model) if images is None else batch_of(images, model),
    )
    base = (
        settings[0]
        if settings
        else affordable(base, lambda one: component(one).rows([one], trial.image_shape), _COSTLY)
    )
    check_traces(trial, base)
    groups = settings_in_groups(component, base, settings, trial.accepts)
    check_groups(trial, groups)
    for group in groups:
        _check_costs(trial, group)
        check_draws(trial, group[0], visible=True)


def _explained(model: Model) -> Batch:
    """Return the small batch with predicted classes as targets: some attacks leave images alone that have others."""
    batch = small_batch(_SIZE)
    return replace(batch, targets=model.predict(batch.images))


def _perturbed(component: Perturbation[Any], model: Model, batch: Batch, group: Settings, rng: Rng) -> Perturbed:
    """Return what perturbed() does, after a check of what stands beside the images and of what images() gives."""
    found = component.perturbed(model, batch, group, rng)
    who = f"{type(component).__name__}.perturbed{in_words(group[0])}"
    for name, extra in found.extras.items():
        fits = extra.dtype == torch.float64 and tuple(extra.shape) == (len(group), len(batch))
        told = f"gives {name!r} as {extra.dtype} {list(extra.shape)}, where float64 [S, N] is due."
        require(fits, who, told, "Give one number a setting and image.")
    return found


def _check_costs(trial: Trial, group: Settings) -> None:
    """Require that rows() tells what Model counts."""
    component, count = trial.component(group[0]), len(trial.batch)
    assert isinstance(component, Perturbation)
    promised, counted = component.rows(group, trial.image_shape), trial.counted(group)[1]
    who = f"{type(component).__name__}.rows, {len(group)} settings from {in_words(group[0])} on"
    told = f"promises {promised} rows an image, {promised * count} for {count} images; Model counted {counted.forward}."
    require(promised * count == counted.forward, who, told, "Count what perturbed() costs the whole group.")
