"""Random weights in the place of trained ones, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from sam_toolkit.component import ModelPerturbation
from sam_toolkit.errors import ComponentError
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.sources.weights import seeded
from sam_toolkit.types import Params, field


class WeightRandomizationParams(Params):
    """Hyperparameters of random weights."""

    order: Literal["cascading", "independent"] = field(
        "cascading", help="cascading: the last `layers` layers at once; independent: one alone, the rest as trained"
    )
    layers: Annotated[int, Field(ge=1)] | Literal["all"] = field(
        1, help="how many layers from the output on; where independent, which one, counted from the output"
    )
    weights: Literal["initial", "scaled"] = field(
        "initial", help="as the layer initialises itself, or normal with the mean and deviation of its trained weights"
    )
    seed: int = field(0, ge=0, help="seed of the weights; a layer's are the same in any order and number of layers")


class WeightRandomization(ModelPerturbation[WeightRandomizationParams]):
    """Random weights from the output on: maps that stay as they are do not show what the network learned.

    A layer is a module with parameters of its own; the last one is that defined last. One that cannot initialise itself
    gets scaled weights.
    """

    name = "weight-randomization"
    reference = "Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018, arXiv:1810.03292"

    def models(self, model: Model, settings: Sequence[WeightRandomizationParams], rng: Rng) -> list[Model]:
        """Return one copy a setting; raises ComponentError where the network has fewer layers."""
        return [model.holding(_randomized(model, setting, rng.child(setting.seed))) for setting in settings]


def _randomized(model: Model, setting: WeightRandomizationParams, rng: Rng) -> nn.Module:
    network = deepcopy(model.module)
    layers = [(name, each) for name, each in network.named_modules() if list(each.parameters(recurse=False))]
    number = len(layers) if setting.layers == "all" else setting.layers
    if not 1 <= number <= len(layers):
        raise ComponentError(
            f"layers: model {model.name!r} has {len(layers)} layers with weights; got {setting.layers}."
        )
    last = layers[-number:]
    for name, layer in last[:1] if setting.order == "independent" and setting.layers != "all" else last:
        initialise: Callable[[], None] | None = getattr(layer, "reset_parameters", None)
        with torch.no_grad(), seeded(rng.generator(name).initial_seed()):
            if setting.weights == "initial" and initialise is not None:
                initialise()
            else:
                _scale(layer)
    return network


def _scale(layer: nn.Module) -> None:
    """Draw a layer's weights from the normal distribution with their mean and standard deviation."""
    for weight in layer.parameters(recurse=False):
        weight.normal_(float(weight.mean()), float(weight.std(unbiased=False)))
