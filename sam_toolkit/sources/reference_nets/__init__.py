"""Small networks that come with sam_toolkit: regular, adversarially trained, and trained with noise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast, get_args

from safetensors import safe_open

from sam_toolkit.component import ModelSource
from sam_toolkit.errors import ModelError, near
from sam_toolkit.model import Model
from sam_toolkit.sources.dataset_facts import DATASETS, DatasetName
from sam_toolkit.sources.reference_nets.architecture import network
from sam_toolkit.sources.weights import fill, read_state, seeded
from sam_toolkit.types import Params

__all__ = ["ReferenceNets", "read_card", "read_net"]

_WEIGHTS = Path(__file__).parent / "weights"
_CHUNK = 256
"""Rows at once: such small networks spend most of a smaller chunk on getting started."""


class ReferenceNets(ModelSource[Params]):
    """Networks for small data sets, three kinds for each: `mnist-regular`, `mnist-robust`, `mnist-noise`.

    Robust ones were trained on L2-PGD attacks, noise ones on Gaussian noise. A number behind the name is the seed of
    another training: `mnist-robust-1`.
    """

    name = "reference-nets"
    reference = "Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018"

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the networks, sorted."""
        return tuple(sorted(path.stem for path in _WEIGHTS.glob("*.safetensors")))

    def load(self, name: str) -> Model:
        """Return the network, on the CPU; raises ModelError where there is none of that name."""
        return read_net(self.path(name))

    def card(self, name: str) -> Mapping[str, str]:
        """Return what is known of a network: the command, data and seed that made it, and its accuracies."""
        return read_card(self.path(name))

    def path(self, name: str) -> Path:
        """Return the file of a network's weights; raises ModelError where there is none of that name."""
        if name not in self.names():
            raise ModelError(
                f"There is no reference net {name!r}.{near(name, self.names())} There are: {', '.join(self.names())}."
            )
        return _WEIGHTS / f"{name}.safetensors"


def read_card(path: Path) -> Mapping[str, str]:
    """Return the texts that stand beside the weights in a file."""
    with safe_open(path, "pt") as file:
        return dict(file.metadata() or {})


def read_net(path: Path) -> Model:
    """Return the network of a file that `examples/robustness/train.py` wrote; raises ModelError on another one."""
    state = read_state(path)
    dataset = read_card(path).get("dataset", "")
    if dataset not in get_args(DatasetName):
        raise ModelError(f"Weights {path} are of no reference net: they do not say which data set they are for.")
    facts = DATASETS[cast(DatasetName, dataset)]
    with seeded(0):
        module = network(cast(DatasetName, dataset))
    fill(module, {name: value.float() for name, value in state.items()}, str(path))
    module.eval().requires_grad_(False)
    return Model(module, path.stem, preprocessing=facts.preprocessing, categories=facts.categories, chunk=_CHUNK)
