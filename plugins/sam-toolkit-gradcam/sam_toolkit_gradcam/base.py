"""What every class activation map of pytorch-grad-cam has in common as a method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, ClassVar, Literal, TypeVar

import pytorch_grad_cam as library
import torch
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget, ClassifierOutputTarget
from torch import Tensor

from sam_toolkit import Batch, ComponentError, MapFacts, Method, Model, Params, Rng, Work, field
from sam_toolkit_gradcam.running import Network, spatial, without_a_trace

P = TypeVar("P", bound=Params)
_AUGMENTED = 6
"""Copies of an image that `aug_smooth` averages over: flipped or not, at three contrasts."""


class CamParams(Params):
    """What every map has."""

    aug_smooth: bool = field(False, help="whether the maps of six flipped and scaled copies are averaged")


class LayerParams(CamParams):
    """Of one layer."""

    layer: str = field("auto", help="name of a module that returns [N, C, h, w]; auto: the last with more than 1 x 1")


class TargetParams(CamParams):
    """Of a class."""

    score: Literal["logit", "probability"] = field("logit", help="what of the target is explained")


class LayerTargetParams(LayerParams, TargetParams):
    """Of one layer and a class."""


class WeightedParams(LayerTargetParams):
    """Of weighted activations, which are summed or projected."""

    eigen_smooth: bool = field(False, help="whether activations are projected to their first component, not summed")


class RandomParams(WeightedParams):
    """Of random weights."""

    seed: int = field(0, ge=0, help="seed of the weights")


class AblationParams(WeightedParams):
    """Of channels that are ablated."""

    ratio_channels_to_ablate: float = field(1.0, gt=0, le=1, help="share of the channels that are ablated")


class FemParams(LayerParams):
    """Of rare activations."""

    k: int = field(2, ge=0, help="standard deviations above a channel's mean from which activations count")


class KernelParams(LayerParams):
    """Of a kernel's first component."""

    kernel: Literal["linear", "poly", "rbf", "sigmoid", "cosine"] = field("sigmoid", help="kernel of the analysis")
    gamma: float | None = field(None, gt=0, help="coefficient of the kernel; none: one over the number of channels")


class CamMethod(Method[P]):
    """A map of pytorch-grad-cam: cut off below 0 and scaled to [0, 1] image by image, as the library returns it."""

    cam: ClassVar[type[BaseCAM]]
    gradients = True
    alone: ClassVar[bool] = False
    """Whether images are explained one by one: what is drawn or decomposed sees no other."""
    learning: ClassVar[bool] = False
    """Whether parameters have to ask for gradients: else there is no second derivative where all is linear."""
    beside: ClassVar[int | None] = None
    """Rows beside a counted one and one for each of the layer's channels; None: channels take no rows."""

    def facts(self, params: Any) -> MapFacts:
        """Return that maps are within [0, 1]."""
        return MapFacts(signed=False, value_range=(0.0, 1.0))

    def rows(self, settings: Sequence[Any], shape: tuple[int, int, int]) -> int:
        """Return a row a copy of the image; `work` tells of those for channels, whose number the network knows."""
        return sum(_AUGMENTED if setting.aug_smooth else 1 for setting in settings)

    def work(self, model: Model, settings: Sequence[Any], shape: tuple[int, int, int]) -> Work:
        """Return what a counted row costs with those that the layer's channels take."""
        if self.beside is None:
            return Work()
        name, channels = self.layer(model, torch.zeros(1, *shape), settings[0])
        share = getattr(settings[0], "ratio_channels_to_ablate", 1.0)
        return Work(1 + self.beside + share * channels, f"each with rows for the {channels} channels of {name}")

    def maps(self, model: Model, batch: Batch, settings: Sequence[Any], rng: Rng) -> Tensor:
        """Return maps `[S, N, H, W]`; raises ComponentError where the network has no such layer."""
        return torch.stack([torch.cat(list(self.portions(model, batch, setting, rng))) for setting in settings])

    def portions(self, model: Model, batch: Batch, setting: Any, rng: Rng) -> Iterator[Tensor]:
        """Yield maps `[n, H, W]`, of fewer images as often as memory runs out."""
        inputs, start = model.inputs(batch.images), 0
        name, _ = self.layer(model, inputs, setting)
        while start < len(batch):
            count = 1 if self.alone or getattr(setting, "eigen_smooth", False) else min(model.chunk, len(batch) - start)
            part = slice(start, start + count)
            generator = rng.child(getattr(setting, "seed", 0)).generator(batch.ids[start])
            seed = int(torch.randint(2**31, (), generator=generator))
            explain = partial(self.explained_at, model, setting, name, inputs[part], batch.targets[part].tolist())
            with without_a_trace(model.module, seed, self.learning):
                maps = model.attempt(explain, count)
            if maps is not None:
                yield maps
                start += count

    def explained_at(self, model: Model, setting: Any, name: str, inputs: Tensor, targets: list[int]) -> Tensor:
        """Return the library's maps `[n, H, W]`, and take its hooks away."""
        # Ablation-CAM exchanges the layer for a while: where it fails midway, it leaves another network.
        network = Network(model, deepcopy(model.module) if self.cam is library.AblationCAM else model.module)
        of = ClassifierOutputTarget if getattr(setting, "score", "logit") == "logit" else ClassifierOutputSoftmaxTarget
        cam = self.built(network, name, setting)
        cam.batch_size = model.chunk
        smooth = {"aug_smooth": setting.aug_smooth, "eigen_smooth": getattr(setting, "eigen_smooth", False)}
        try:
            with torch.enable_grad():
                found = cam(inputs.clone().requires_grad_(), [of(target) for target in targets], **smooth)
        finally:
            hooks = cam.activations_and_grads
            hooks.activations, hooks.gradients = [], []  # its release fails at gradients that are views
            hooks.release()
        return torch.from_numpy(found).to(inputs.device)

    def built(self, network: Network, name: str, setting: Any) -> BaseCAM:
        """Return the library's object, with its hooks set."""
        options = {key: value for key, value in setting if key not in RandomParams.model_fields}
        return self.cam(network, [network.get_submodule(f"network.{name}")], **options)

    def layer(self, model: Model, inputs: Tensor, setting: Any) -> tuple[str, int]:
        """Return the layer's name and number of channels; raises ComponentError where there is no such layer."""
        found = spatial(model, inputs)
        name = (list(found) or [""])[-1] if setting.layer == "auto" else setting.layer
        if name not in found:
            raise ComponentError(
                f"{type(self).__name__}: layer must be auto or the name of a module that returns [N, C, h, w] larger "
                f"than 1 x 1; got {setting.layer!r}. Such layers of model {model.name!r}: "
                f"{', '.join(list(found)[-8:]) or 'none'}."
            )
        return name, found[name]
