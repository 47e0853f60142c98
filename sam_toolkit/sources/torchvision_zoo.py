"""Any classifier of torchvision, with its published weights, a file's, or random ones."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from torch import nn

from sam_toolkit.component import ModelSource
from sam_toolkit.errors import ModelError, near
from sam_toolkit.images import Preprocessing
from sam_toolkit.model import Model
from sam_toolkit.sources.categories import read_categories
from sam_toolkit.sources.layouts import Normaliser, State
from sam_toolkit.sources.preprocessing import PreprocessingParams
from sam_toolkit.sources.published import agreed, common_preset, downloaded, preset, recognised
from sam_toolkit.sources.weights import ENDINGS, TRUST_PICKLE, fill, read_state, seeded
from sam_toolkit.types import Params, field

_BUILDER = re.compile(r"^@register_model\(.*?\)$.*?^def (\w+)\(", re.MULTILINE | re.DOTALL)
_NORMALISES_AGAIN = ("googlenet", "inception_v3")
_Published = Literal["IMAGENET1K_V1", "IMAGENET1K_V2", "IMAGENET1K_SWAG_E2E_V1", "IMAGENET1K_SWAG_LINEAR_V1"]


class TorchvisionParams(Params):
    """Which weights a network of torchvision gets, and what it is shown."""

    weights: Literal["default", "random"] | _Published | Path = field(
        "default",
        help="a published name, random, or a .pth, .pt or .safetensors file",
        union_mode="left_to_right",
    )
    trust_pickle: bool = field(False, help=TRUST_PICKLE)
    preset: _Published | None = field(
        None, help="published weights whose preprocessing a file's weights take, where the file does not tell"
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

    Published files are known by content, whatever their names; a checkpoint of the robustness library brings the
    normaliser that it was trained with.
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

        published = get_model_weights(name)
        state, found = self._weights(name, published)
        member = agreed(name, published, found, self.params.preset)
        classes = self.params.classes or len(published.DEFAULT.meta["categories"])
        crop = self.params.preprocessing.crop or preset(member or published.DEFAULT).crop
        with seeded(self.params.seed):
            module = _build(name, classes, crop, initialise=state is None)
        normaliser = fill(module, state, f"{self.params.weights} of {name}") if state is not None else None
        categories = read_categories(self.params.categories, classes)
        if not categories and self.params.classes is None:
            categories = tuple(published.DEFAULT.meta["categories"])
        preprocessing = self._preprocessing(name, published, member, normaliser)
        return Model(module.eval().requires_grad_(False), name, preprocessing=preprocessing, categories=categories)

    def _weights(self, name: str, published: Any) -> tuple[State | None, Any]:
        """Return the tensors (None: random), and the published weights that they are, if any."""
        asked = self.params.weights
        if asked == "random":
            return None, None
        if isinstance(asked, Path) and (asked.suffix in ENDINGS or asked.exists()):
            state = read_state(asked, trust_pickle=self.params.trust_pickle)
            return state, recognised(asked, published)
        member = published.DEFAULT if asked == "default" else published.__members__.get(str(asked))
        if member is None:
            known = ["default", "random", *published.__members__]
            wrong = Path(asked).name
            raise ModelError(
                f"{name} has no weights {wrong!r}.{near(wrong, known)} Known: {', '.join(known)}; "
                f"or a file that ends in {', '.join(ENDINGS)}."
            )
        return downloaded(name, member), member

    def _preprocessing(self, name: str, published: Any, member: Any, normaliser: Normaliser | None) -> Preprocessing:
        """Return how images are prepared for the weights; raises ModelError where nothing says it."""
        changes = self.params.preprocessing
        if member is not None:
            base = preset(member)
        elif normaliser is not None:
            base = Preprocessing()  # the library's own evaluation
        elif self.params.weights == "random":
            base = preset(published.DEFAULT)
        else:
            base = common_preset(name, published, changes)
        return changes.applied(base, normaliser)


@cache
def _names() -> tuple[str, ...]:
    """Read the names from torchvision's source, for importing it takes seconds."""
    package = find_spec("torchvision")
    if package is None or not package.submodule_search_locations:
        return ()
    files = (Path(package.submodule_search_locations[0]) / "models").glob("*.py")
    return tuple(sorted(name for file in files for name in _BUILDER.findall(file.read_text(encoding="utf-8"))))


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
