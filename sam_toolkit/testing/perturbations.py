"""The contract of perturbations of the input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sam_toolkit.component import Perturbation
from sam_toolkit.model import Model
from sam_toolkit.testing.declarations import check_declarations
from sam_toolkit.testing.examples import batch_of, small_model
from sam_toolkit.testing.settings import class_and_setting, settings_in_groups
from sam_toolkit.testing.stacks import Trial, check_draws, check_groups, check_traces
from sam_toolkit.types import Batch, Params


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
        images: a batch, or images `[N, C, H, W]` whose targets are predicted; without them `small_batch()`.
    """
    component, base = class_and_setting(perturbation)
    check_declarations(component)
    model = Model.of(model or small_model())
    trial = Trial(
        component,
        lambda network, batch, group, rng: component(group[0]).images(network, batch, group, rng),
        f"{component.__name__}.images",
        "[S, N, C, H, W]",
        1,
        torch.float32,
        lambda count, batch: (count, *batch.images.shape),
        model,
        batch_of(images, model),
    )
    base = settings[0] if settings else base
    check_traces(trial, base)
    groups = settings_in_groups(component, base, settings, trial.accepts)
    check_groups(trial, groups)
    for group in groups:
        check_draws(trial, group[0], visible=True)
