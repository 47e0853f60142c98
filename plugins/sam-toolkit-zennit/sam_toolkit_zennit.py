"""Zennit's composites as methods: relevance that goes backward through a network by a rule for each layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torchvision.models.resnet import BasicBlock, Bottleneck
from zennit import composites
from zennit.attribution import Gradient
from zennit.canonizers import Canonizer, SequentialMergeBatchNorm
from zennit.core import Composite
from zennit.torchvision import ResNetCanonizer

from sam_toolkit import (
    Batch,
    Channels,
    ComponentError,
    MapFacts,
    Method,
    Model,
    Params,
    Rng,
    Rows,
    field,
    hookimpl,
    reduce_channels,
)

SAM_TOOLKIT_INTERFACE = 1
_LRP = "Bach et al., On Pixel-Wise Explanations by Layer-Wise Relevance Propagation, PLOS ONE 2015"
_CLOSE = 1e-3
"""Share of the largest logit that merging batch normalisation may move logits by, as rounding does."""


class ZennitParams(Params):
    """What every composite has."""

    channels: Channels = field("sum", help="how channels become one number, signed or absolute")
    start: Literal["one", "logit"] = field("one", help="relevance of the target's logit: 1, or the logit itself")
    canonizer: Literal["auto", "none"] = field(
        "auto", help="auto: batch norms are merged into convolutions, and sums of torchvision's ResNets get a rule"
    )


class StableParams(ZennitParams):
    """Of composites with rules that divide."""

    stabilizer: float = field(1e-6, gt=0, help="what rules but epsilon add to what they divide by")
    zero_bias: bool = field(False, help="whether biases are taken as zero, so that they absorb no relevance")


class EpsilonParams(StableParams):
    """Of composites with the epsilon rule for linear layers."""

    epsilon: float = field(1e-6, gt=0, help="what the epsilon rule adds to what it divides by")


class GammaParams(EpsilonParams):
    """Of the gamma rule for convolutions."""

    gamma: float = field(0.25, ge=0, help="how much more positive weights count than negative ones")


class BetaParams(ZennitParams):
    """Of smooth ReLUs."""

    beta_smooth: float = field(10.0, gt=0, help="slope of the sigmoid in place of a ReLU's step")


P = TypeVar("P", bound=Params)


class ZennitMethod(Method[P]):
    """A composite of zennit, as the gradient that its rules change."""

    composite: ClassVar[type[Composite]]
    gradients = True

    def shares(self, params: Any) -> frozenset[str]:
        """Return that one attribution serves every reduction of its channels."""
        return frozenset({"channels"})

    def facts(self, params: Any) -> MapFacts:
        """Return that maps are signed, unless channels are reduced to magnitudes."""
        return MapFacts(signed=not params.channels.startswith("abs-"))

    def rows(self, settings: Sequence[Any], shape: tuple[int, int, int]) -> int:
        """Return 1."""
        return 1

    def maps(self, model: Model, batch: Batch, settings: Sequence[Any], rng: Rng) -> Tensor:
        """Return maps `[S, N, H, W]`; raises ComponentError where the canonizer makes another network of it."""
        found = torch.cat(list(self.attributions(model, batch, settings[0])))
        return torch.stack([reduce_channels(found, setting.channels) for setting in settings])

    def attributions(self, model: Model, batch: Batch, setting: Any) -> Iterator[Tensor]:
        """Yield attributions `[n, C, H, W]`, of fewer images as often as memory runs out."""
        inputs, start = model.inputs(batch.images), 0
        self.require_same(model, inputs[:1], setting)
        while start < len(batch):
            part = slice(start, start + model.chunk)
            found = model.attempt(
                partial(self.attribution, model, inputs[part], batch.targets[part], setting), len(inputs[part])
            )
            if found is not None:
                yield found
                start += len(found)

    def attribution(self, model: Model, inputs: Tensor, targets: Tensor, setting: Any) -> Tensor:
        """Return zennit's attribution of inputs `[n, C, H, W]`."""

        def relevance(logits: Tensor) -> Tensor:
            wanted = one_hot(targets.to(logits.device), logits.shape[1]).to(logits)
            return wanted if setting.start == "one" else wanted * logits.detach()

        composite = self.composed(model, inputs, setting)
        with torch.enable_grad(), Gradient(_Network(model), composite, relevance) as attribute:
            found: Tensor = attribute(inputs.clone())[1]
        return found.detach()

    def composed(self, model: Model, inputs: Tensor, setting: Any) -> Composite:
        """Return zennit's composite, with the canonizer that fits the network."""
        own = {name: value for name, value in setting if name not in ZennitParams.model_fields}
        if "zero_bias" in own:
            own["zero_params"] = ["bias"] if own.pop("zero_bias") else None
        return self.composite(**own, **self.box(model, inputs), canonizers=canonizers(model.module, setting))

    def box(self, model: Model, inputs: Tensor) -> dict[str, Tensor]:
        """Return what a composite asks of the inputs: nothing."""
        return {}

    def require_same(self, model: Model, inputs: Tensor, setting: Any) -> None:
        """Raise ComponentError where the network gives other logits once it is canonized; no row is counted."""
        chosen = canonizers(model.module, setting)
        if not chosen:
            return
        network = partial(model.module, model.clamped(inputs))
        before = model.attempt(network, 2)
        with Composite(canonizers=chosen).context(model.module):
            after = model.attempt(network, 2)
        if before is None or after is None or (before - after).abs().max() > _CLOSE * before.abs().max():
            raise ComponentError(
                f"{type(self).__name__}: canonizer 'auto' changes what model {model.name!r} computes, for its modules "
                "do not run in the order in which they stand. Say `canonizer: none`."
            )


def canonizers(module: nn.Module, setting: Any) -> list[Canonizer]:
    """Return what brings a network into a form that rules are made for."""
    if setting.canonizer == "none":
        return []
    blocks = any(isinstance(part, BasicBlock | Bottleneck) for part in module.modules())
    return [ResNetCanonizer() if blocks else SequentialMergeBatchNorm()]


class _Network(nn.Module):
    """A model's network as zennit calls it; rows are counted, forward and backward."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network = model.module
        self._model = model

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits `[N, K]` of inputs `[N, C, H, W]`; raises ModelError where one is not finite."""
        logits = self._model.accepted(self.network(self._model.clamped(inputs)))
        self._model.counted += Rows(0, len(logits))
        return logits


class EpsilonPlus(ZennitMethod[EpsilonParams]):
    """The z-plus rule for convolutions, the epsilon rule for linear layers."""

    name = "zennit-epsilon-plus"
    reference = _LRP
    composite = composites.EpsilonPlus


class EpsilonPlusFlat(ZennitMethod[EpsilonParams]):
    """The z-plus rule for convolutions, the epsilon rule for linear layers, the flat rule for the first layer."""

    name = "zennit-epsilon-plus-flat"
    reference = _LRP
    composite = composites.EpsilonPlusFlat


class EpsilonAlpha2Beta1(ZennitMethod[EpsilonParams]):
    """The alpha-2 beta-1 rule for convolutions, the epsilon rule for linear layers."""

    name = "zennit-epsilon-alpha2-beta1"
    reference = _LRP
    composite = composites.EpsilonAlpha2Beta1


class EpsilonAlpha2Beta1Flat(ZennitMethod[EpsilonParams]):
    """The alpha-2 beta-1 rule for convolutions, epsilon for linear layers, flat for the first layer."""

    name = "zennit-epsilon-alpha2-beta1-flat"
    reference = _LRP
    composite = composites.EpsilonAlpha2Beta1Flat


class EpsilonGammaBox(ZennitMethod[GammaParams]):
    """The gamma rule for convolutions, epsilon for linear layers, and for the first the box of what images can be."""

    name = "zennit-epsilon-gamma-box"
    reference = "Montavon et al., Layer-Wise Relevance Propagation: An Overview, 2019"
    composite = composites.EpsilonGammaBox

    def box(self, model: Model, inputs: Tensor) -> dict[str, Tensor]:
        """Return the lowest and the highest inputs: black and white."""
        return {name: model.inputs(torch.full_like(inputs, level)) for name, level in (("low", 0.0), ("high", 1.0))}


class ExcitationBackprop(ZennitMethod[StableParams]):
    """The z-plus rule for every layer: the probabilities by which winners take all."""

    name = "zennit-excitation-backprop"
    reference = "Zhang et al., Top-down Neural Attention by Excitation Backprop, ECCV 2016, arXiv:1608.00507"
    composite = composites.ExcitationBackprop


class GuidedBackprop(ZennitMethod[ZennitParams]):
    """The gradient of which ReLUs let only the positive part through, where their input is positive too."""

    name = "zennit-guided-backprop"
    reference = "Springenberg et al., Striving for Simplicity, 2015, arXiv:1412.6806"
    composite = composites.GuidedBackprop


class DeconvNet(ZennitMethod[ZennitParams]):
    """The gradient of which ReLUs let only the positive part through, whatever their input."""

    name = "zennit-deconvnet"
    reference = "Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014"
    composite = composites.DeconvNet


class BetaSmooth(ZennitMethod[BetaParams]):
    """The gradient of which ReLUs have a sigmoid for a slope, as softplus has."""

    name = "zennit-beta-smooth"
    reference = "Dombrowski et al., Explanations can be manipulated, NeurIPS 2019, arXiv:1906.07983"
    composite = composites.BetaSmooth


@hookimpl
def sam_toolkit_components() -> list[type[Method[Any]]]:
    """Return the composites as methods."""
    return [value for value in globals().values() if isinstance(value, type) and "composite" in vars(value)]
