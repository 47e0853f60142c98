"""Networks that a user's Python code builds."""

from __future__ import annotations

import copy
import importlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sam_toolkit.component import ModelSource
from sam_toolkit.errors import ModelError, near
from sam_toolkit.images import Preprocessing
from sam_toolkit.model import Model
from sam_toolkit.sources.categories import read_categories
from sam_toolkit.sources.preprocessing import PreprocessingParams
from sam_toolkit.sources.weights import TRUST_PICKLE, fill, read_state, seeded
from sam_toolkit.types import Params, field


class PythonModuleParams(Params):
    """Where the network is and what it is shown."""

    module: str = field(
        help="package.file:name of the network, or of a function or class that returns it when called",
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
    )
    weights: Path | None = field(
        None, help=".pth, .pt or .safetensors file; default: the weights that it is built with"
    )
    trust_pickle: bool = field(False, help=TRUST_PICKLE)
    seed: int = field(0, ge=0, help="of the weights that it is built with, drawn from PyTorch's generator")
    categories: tuple[str, ...] | Path = field((), help="class names, or a text file of them, one a line")
    preprocessing: PreprocessingParams = field(
        PreprocessingParams(), help="changes to resize 256, crop 224, ImageNet mean and std"
    )


class PythonModule(ModelSource[PythonModuleParams]):
    """A classifier `[N, C, H, W] -> [N, K]` from importable Python code, which runs as it is."""

    name = "python"

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the one name by which a study asks for it."""
        return ("python",)

    def load(self, name: str) -> Model:
        """Return the model, on the CPU; raises ModelError if its code, weights or outputs do not fit."""
        network = _built(self.params.module, self.params.seed)
        path, normaliser = self.params.weights, None
        if path is not None:
            state = read_state(path, trust_pickle=self.params.trust_pickle)
            normaliser = fill(network, state, str(path))
        preprocessing = self.params.preprocessing.applied(Preprocessing(), normaliser)
        network.eval().requires_grad_(False)
        classes = _classes(network, self.params.module, preprocessing)
        categories = read_categories(self.params.categories, classes)
        return Model(network, name, preprocessing=preprocessing, categories=categories)


def _built(path: str, seed: int) -> nn.Module:
    given = _imported(path)
    try:
        with seeded(seed):
            network = copy.deepcopy(given) if isinstance(given, nn.Module) else given()
    except Exception as error:
        raise ModelError(f"{path} could not be called without arguments ({type(error).__name__}: {error}).") from error
    if not isinstance(network, nn.Module):
        raise ModelError(f"{path} must be or return a torch.nn.Module; got {type(network).__name__}.")
    return network


def _imported(path: str) -> Any:
    module, _, attribute = path.partition(":")
    try:
        imported = importlib.import_module(module)
    except Exception as error:
        raise ModelError(
            f"Module {module!r} cannot be imported ({type(error).__name__}: {error}). "
            "Install its package, or name its folder in PYTHONPATH."
        ) from error
    if not hasattr(imported, attribute):
        raise ModelError(f"Module {module!r} has no {attribute!r}.{near(attribute, dir(imported))}")
    return getattr(imported, attribute)


def _classes(network: nn.Module, path: str, preprocessing: Preprocessing) -> int:
    """Return the number of classes, after one row went through the network."""
    blank = torch.zeros(1, len(preprocessing.mean), preprocessing.crop, preprocessing.crop)
    model = Model(network, path, preprocessing=preprocessing)
    try:
        return model.classes(blank)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise ModelError(
            f"{path} cannot take images {list(blank.shape)} ({error}). "
            "Set `preprocessing`: its `crop`, and as many values of `mean` and `std` as channels."
        ) from error
