"""Any classifier of torchvision, with its published weights, a file's, or random ones."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sam_toolkit.component import ModelSource
from sam_toolkit.errors import ModelError, near
from sam_toolkit.images import Preprocessing
from sam_toolkit.model import Model
from sam_toolkit.sources.categories import read_categories
from sam_toolkit.sources.preprocessing import PreprocessingParams
from sam_toolkit.sources.weights import ENDINGS, clean, fill, read_state, seeded
from sam_toolkit.types import Params, field

_BUILDER = re.compile(r"^@register_model\(.*?\)$.*?^def (\w+)\(", re.MULTILINE | re.DOTALL)
_NORMALISES_AGAIN = ("googlenet", "inception_v3")
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
_OLD_DENSENET = re.compile(r"(.*denselayer\d+\.(?:norm|conv))\.([12]\..+)")
_Published = Literal[
    "default",
    "random",
    "IMAGENET1K_V1",
    "IMAGENET1K_V2",
    "IMAGENET1K_SWAG_E2E_V1",
    "IMAGENET1K_SWAG_LINEAR_V1",
]


class TorchvisionParams(Params):
    """Which weights a network of torchvision gets, and what it is shown."""

    weights: _Published | Path = field(
        "default",
        help="a published name, random, or a .pth, .pt or .safetensors file",
        union_mode="left_to_right",
    )
    seed: int = field(0, ge=0, help="of random weights")
    classes: int | None = field(None, ge=1, help="number of classes, where it is not that of the published weights")
    categories: tuple[str, ...] | Path = field(
        (), help="class names, or a text file of them, one a line; default: the published"
    )
    preprocessing: PreprocessingParams = field(
        PreprocessingParams(), help="changes to the preprocessing of the weights"
    )


class TorchvisionZoo(ModelSource[TorchvisionParams]):
    """The classifiers of torchvision by name.

    Images for a file's weights are prepared as for the published weights of that file name, or else as for
    the architecture's default ones.
    """

    name = "torchvision"
    reference = "torchvision.models"

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of torchvision's classifiers, sorted; none where it is not installed."""
        return _names()

    def load(self, name: str) -> Model:
        """Return the model, on the CPU; raises ModelError if weights are missing, damaged or do not fit."""
        if name not in self.names():
            raise ModelError(f"torchvision has no classifier {name!r}.{near(name, self.names())}")
        from torchvision.models import get_model_weights  # noqa: PLC0415 - slow to import

        published, state = self._weights(name, get_model_weights(name))
        classes = self.params.classes or len(published.meta["categories"])
        preprocessing = self.params.preprocessing.applied(_preset(published))
        with seeded(self.params.seed):
            module = _build(name, classes, preprocessing.crop, initialise=state is None)
        if state is not None:
            fill(module, _renamed(state), f"{self.params.weights} of {name}")
        categories = read_categories(self.params.categories, classes)
        if not categories and self.params.classes is None:
            categories = tuple(published.meta["categories"])
        return Model(module.eval().requires_grad_(False), name, preprocessing=preprocessing, categories=categories)

    def _weights(self, name: str, published: Any) -> tuple[Any, dict[str, Tensor] | None]:
        """Return the published weights that say how to prepare images, and the tensors (None: random)."""
        asked = self.params.weights
        if asked == "random":
            return published.DEFAULT, None
        if isinstance(asked, Path) and (asked.suffix in ENDINGS or asked.exists()):
            same = (member for member in published if member.url.endswith(f"/{asked.name}"))
            return next(same, published.DEFAULT), read_state(asked)
        member = published.DEFAULT if asked == "default" else published.__members__.get(str(asked))
        if member is None:
            known = ["default", "random", *published.__members__]
            wrong = Path(asked).name
            raise ModelError(
                f"{name} has no weights {wrong!r}.{near(wrong, known)} Known: {', '.join(known)}; "
                f"or a file that ends in {', '.join(ENDINGS)}."
            )
        return member, _downloaded(name, member)


@cache
def _names() -> tuple[str, ...]:
    """Read the names from torchvision's source, for importing it takes seconds."""
    package = find_spec("torchvision")
    if package is None or not package.submodule_search_locations:
        return ()
    files = (Path(package.submodule_search_locations[0]) / "models").glob("*.py")
    return tuple(sorted(name for file in files for name in _BUILDER.findall(file.read_text(encoding="utf-8"))))


def _downloaded(name: str, member: Any) -> dict[str, Tensor]:
    try:
        state = member.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
    except Exception as error:  # of the network, or of a damaged file that PyTorch kept
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"Weights {member.name} of {name} could not be loaded from {member.url} or {folder} ({reason}). "
            f"Without the internet: put that file into {folder}, or name a file with `weights: <path>`."
        ) from error
    return clean(state, member.url)


def _renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors without heads that only training uses, and as DenseNet names its layers today."""
    kept = {key: value for key, value in state.items() if not key.startswith(_AUXILIARY)}
    return {_OLD_DENSENET.sub(r"\1\2", key): value for key, value in kept.items()}


def _build(name: str, classes: int, crop: int, *, initialise: bool) -> nn.Module:
    from torchvision.models import get_model  # noqa: PLC0415 - slow to import

    options: dict[str, Any] = {"num_classes": classes}
    if name in _NORMALISES_AGAIN:
        # Published weights expect (x - 0.5) / 0.5, which these networks make of ImageNet's normalisation.
        options |= {"transform_input": True, "aux_logits": False, "init_weights": initialise}
    if name.startswith("vit_"):
        options["image_size"] = crop
    module: nn.Module = get_model(name, weights=None, **options)
    return module


def _preset(published: Any) -> Preprocessing:
    """Return the evaluation transforms of published weights as our preprocessing."""
    transforms = published.transforms()
    return Preprocessing(
        crop=transforms.crop_size[0],
        resize=transforms.resize_size[0],
        interpolation=transforms.interpolation.value,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
    )
