"""The contract of perturbations of the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sam_toolkit.component import ModelPerturbation
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.testing.declarations import check_declarations
from sam_toolkit.testing.examples import batch_of, small_model
from sam_toolkit.testing.settings import class_and_setting, settings_in_groups
from sam_toolkit.testing.stacks import Trial, check_draws, check_groups, check_traces
from sam_toolkit.testing.surroundings import random_states_kept
from sam_toolkit.testing.verdict import in_words, require
from sam_toolkit.types import Batch, Params


def check_model_perturbation(
    perturbation: type[ModelPerturbation[Any]] | ModelPerturbation[Any],
    settings: Sequence[Params] | None = None,
    model: Model | nn.Module | None = None,
    images: Batch | Tensor | None = None,
) -> None:
    """Raise ConformanceError where a model perturbation breaks its contract; takes seconds with the defaults.

    Args:
        perturbation: a class, or an instance whose setting replaces the defaults.
        settings: what it is checked with; without them the defaults and their neighbours.
        model: what is changed; without it `small_model()`.
        images: what the changed models are asked about; without them `small_batch()`.
    """
    component, base = class_and_setting(perturbation)
    check_declarations(component)
    model = Model.of(model or small_model())
    batch = batch_of(images, model)
    classes = model.logits(model.inputs(batch.images[:1])).shape[1]
    trial = Trial(
        component,
        lambda network, batch, group, rng: _logits(component, network, batch, group, rng),
        f"{component.__name__}.models",
        "[S, N, K] of logits",
        1,
        torch.float32,
        lambda count, batch: (count, len(batch), classes),
        model,
        batch,
    )
    base = settings[0] if settings else base
    check_traces(trial, base)
    groups = settings_in_groups(component, base, settings, trial.accepts)
    check_groups(trial, groups)
    with random_states_kept():
        for group in groups:
            _check_copies(trial, group)
            check_draws(trial, group[0], visible=False)
            _check_weights_move(trial, group[0])


def _logits(
    component: type[ModelPerturbation[Any]], model: Model, batch: Batch, settings: Sequence[Params], rng: Rng
) -> Tensor:
    """Return what the changed models say, `[S, N, K]`."""
    changed = component(settings[0]).models(model, settings, rng)
    require(
        len(changed) == len(settings) and all(isinstance(each, Model) for each in changed),
        f"{component.__name__}.models",
        f"returns {len(changed)} models for {len(settings)} settings.",
        "Return a list of one Model a setting: model.holding(changed network).",
    )
    return torch.stack([each.logits(each.inputs(batch.images)) for each in changed])


def _models(trial: Trial, settings: Sequence[Params], seed: int = 0) -> list[Model]:
    component = trial.component(settings[0])
    assert isinstance(component, ModelPerturbation)
    return component.models(trial.model, settings, Rng(seed).child(component.name))


def _check_copies(trial: Trial, group: Sequence[Params]) -> None:
    """Require changed models that are the model's like, and share no memory with it or each other."""
    seen = {value.data_ptr() for value in trial.model.module.state_dict().values() if value.numel()}
    own = {name: value.shape for name, value in trial.model.module.state_dict().items()}
    facts = (trial.model.name, trial.model.preprocessing, trial.model.categories)
    for setting, changed in zip(group, _models(trial, group), strict=True):
        who = f"{trial.who}{in_words(setting)}"
        state = changed.module.state_dict()
        found = "the model's name, preprocessing, categories or tensors are others."
        same = {name: value.shape for name, value in state.items()} == own
        alike = same and (changed.name, changed.preprocessing, changed.categories) == facts
        require(alike, who, found, "Return model.holding(changed copy of its network).")
        places = {value.data_ptr() for value in state.values() if value.numel()}
        found = "weights are shared with the model, or with that of another setting."
        require(not places & seen, who, found, "Change a copy: copy.deepcopy(model.module).")
        seen |= places


def _check_weights_move(trial: Trial, setting: Params) -> None:
    """Require that another draw gives other weights, where something is drawn."""
    component = trial.component(setting)
    reruns = component.reruns(setting, 2)
    if reruns:
        ways = {
            _models(trial, [one], seed)[0].fingerprint for one, seed in ((setting, 0), (reruns[0], 0), (setting, 1))
        }
        found = "another seed, of the setting or of the study, gives the same weights."
        advice = "Draw from rng.child(params.seed); return no reruns where nothing is drawn."
        require(len(ways) == 3, f"{trial.who}{in_words(setting)}", found, advice)
