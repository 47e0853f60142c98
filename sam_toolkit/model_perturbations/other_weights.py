"""Another training of the same architecture."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

from torch import nn

from sam_toolkit.component import ModelPerturbation
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.sources.weights import TRUST_PICKLE, fill, read_state
from sam_toolkit.types import Params, field


class OtherWeightsParams(Params):
    """Hyperparameters of other weights."""

    file: Path = field(help="the .pth, .pt or .safetensors file of the other training")
    trust_pickle: bool = field(False, help=TRUST_PICKLE)


class OtherWeights(ModelPerturbation[OtherWeightsParams]):
    """The same network with the weights of a file, such as another training's; the preprocessing stays."""

    name = "other-weights"
    reference = "Bansal et al., SAM: The Sensitivity of Attribution Methods to Hyperparameters, CVPR 2020"

    def models(self, model: Model, settings: Sequence[OtherWeightsParams], rng: Rng) -> list[Model]:
        """Return one copy a setting; raises ModelError where a file cannot be read or does not fit."""
        return [model.holding(_filled(model, setting)) for setting in settings]


def _filled(model: Model, setting: OtherWeightsParams) -> nn.Module:
    network = deepcopy(model.module)
    fill(network, read_state(setting.file, trust_pickle=setting.trust_pickle), str(setting.file))
    return network
