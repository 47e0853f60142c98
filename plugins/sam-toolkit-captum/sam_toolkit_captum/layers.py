"""Captum's attributions to a layer, drawn out over the image, and of a layer's channel instead of a class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal
from weakref import WeakKeyDictionary

import captum.attr
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from sam_toolkit import Batch, ComponentError, field, reduce_channels
from sam_toolkit_captum.base import CaptumMethod, Shape
from sam_toolkit_captum.gradients import FromRandomImages
from sam_toolkit_captum.running import Network

_GRAD_CAM = "Selvaraju et al., Grad-CAM, ICCV 2017, arXiv:1610.02391"
_SPATIAL: WeakKeyDictionary[nn.Module, list[str]] = WeakKeyDictionary()


def spatial(network: nn.Module, inputs: Tensor) -> list[str]:
    """Return the names of the modules that give `[N, C, h, w]` larger than 1 x 1, in the order of their ends.

    The network is asked once, with one image, which is not counted as a row.
    """
    if network not in _SPATIAL:
        found: dict[str, None] = {}

        def note(name: str) -> Callable[..., None]:
            def see(module: nn.Module, arguments: Any, output: Any) -> None:
                found.pop(name, None)
                if isinstance(output, Tensor) and output.dim() == 4 and max(output.shape[2:]) > 1:
                    found[name] = None

            return see

        handles = [part.register_forward_hook(note(name)) for name, part in network.named_modules() if name]
        try:
            with torch.no_grad():
                network(inputs[:1])
        finally:
            for handle in handles:
                handle.remove()
        _SPATIAL[network] = list(found)
    return _SPATIAL[network]


class AtLayer(CaptumMethod):
    """An attribution that looks at a layer."""

    gradients = True

    def built(self, network: Network, setting: Any, inputs: Tensor) -> captum.attr.Attribution:
        """Return captum's attribution at the layer; raises ComponentError where the network has none of that name."""
        whole = network.network
        names = spatial(whole, inputs)
        parts = dict(whole.named_modules())
        name = (names[-1] if names else "") if setting.layer == "auto" else setting.layer
        if not name or name not in parts:
            raise ComponentError(
                f"{type(self).__name__}: layer must be auto or the name of a module that returns [N, C, h, w]; got "
                f"{setting.layer!r}. Such layers: {', '.join(names[-8:]) or 'none'}."
            )
        chosen = {**self.chosen(self.attribution.__init__, setting), "layer": parts[name]}
        return self.attribution(network, **chosen)


class OfLayer(AtLayer):
    """An attribution to a layer, whose grid is drawn out over the image."""

    @classmethod
    def declared(cls) -> dict[str, tuple[Any, Any]]:
        """Return how the grid becomes a map; captum leaves that to its user."""
        modes = Literal["nearest", "bilinear"]
        return {
            **super().declared(),
            "interpolate_mode": (modes, field("bilinear", help="how the layer's grid becomes the map")),
        }

    def map(self, found: Tensor, setting: Any, batch: Batch) -> Tensor:
        """Return attributions `[N, K, h, w]` as maps `[N, H, W]`."""
        if found.dim() != 4:
            raise ComponentError(f"{type(self).__name__}: layer must return [N, C, h, w]; {setting.layer!r} does not.")
        corners = {} if setting.interpolate_mode == "nearest" else {"align_corners": False}
        grid = reduce_channels(found, setting.channels)[:, None]
        size = (batch.images.shape[2], batch.images.shape[3])
        return interpolate(grid, size=size, mode=setting.interpolate_mode, **corners)[:, 0]


class CaptumGuidedGradCam(AtLayer, of=captum.attr.GuidedGradCam):
    """Guided backpropagation times the layer's Grad-CAM."""

    name = "captum-guided-grad-cam"
    reference = _GRAD_CAM
    passes = 2


class CaptumLayerGradCam(OfLayer, of=captum.attr.LayerGradCam):
    """A layer's activations, weighted by the mean gradient over each channel, and summed."""

    name = "captum-layer-grad-cam"
    reference = _GRAD_CAM


class CaptumLayerActivation(OfLayer, of=captum.attr.LayerActivation):
    """A layer's activations, whatever the class: a control."""

    name = "captum-layer-activation"
    reference = "captum.attr.LayerActivation"
    gradients = False


class CaptumLayerGradientXActivation(OfLayer, of=captum.attr.LayerGradientXActivation):
    """A layer's activations times the gradient at them."""

    name = "captum-layer-gradient-x-activation"
    reference = "captum.attr.LayerGradientXActivation"


class CaptumLayerConductance(OfLayer, of=captum.attr.LayerConductance):
    """How much of integrated gradients flows through each place of a layer."""

    name = "captum-layer-conductance"
    reference = "Dhamdhere et al., How Important Is a Neuron, ICLR 2019, arXiv:1805.12233"
    knobs = frozenset()  # captum's batches each cost a row more

    def cost(self, params: Any, shape: Shape) -> int:
        """Return one row a step, and one to end with."""
        return int(params.n_steps) + 1


class CaptumInternalInfluence(OfLayer, of=captum.attr.InternalInfluence):
    """Gradients at a layer along the path from a baseline."""

    name = "captum-internal-influence"
    reference = "Leino et al., Influence-Directed Explanations, 2018, arXiv:1802.03788"

    def cost(self, params: Any, shape: Shape) -> int:
        """Return one row a step."""
        return int(params.n_steps)


class CaptumLayerIntegratedGradients(OfLayer, of=captum.attr.LayerIntegratedGradients):
    """Integrated gradients of what follows a layer, along the path between its activations."""

    name = "captum-layer-integrated-gradients"
    reference = "Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017, arXiv:1703.01365"

    def cost(self, params: Any, shape: Shape) -> int:
        """Return one row a step, and those of both ends."""
        return int(params.n_steps) + 2


class CaptumLayerDeepLift(OfLayer, of=captum.attr.LayerDeepLift):
    """DeepLift, stopped at a layer."""

    name = "captum-layer-deep-lift"
    reference = "Shrikumar et al., Learning Important Features Through Propagating Activation Differences, ICML 2017"
    passes = 2


class CaptumLayerDeepLiftShap(FromRandomImages, OfLayer, of=captum.attr.LayerDeepLiftShap):
    """The mean of DeepLift, stopped at a layer, over baselines that are random images."""

    name = "captum-layer-deep-lift-shap"
    reference = "Lundberg and Lee, A Unified Approach to Interpreting Model Predictions, NeurIPS 2017"

    def cost(self, params: Any, shape: Shape) -> int:
        """Return two rows a baseline."""
        return 2 * int(params.baselines)


class CaptumLayerGradientShap(FromRandomImages, OfLayer, of=captum.attr.LayerGradientShap):
    """GradientShap of a layer's activations; baselines are random images."""

    name = "captum-layer-gradient-shap"
    reference = "Lundberg and Lee, A Unified Approach to Interpreting Model Predictions, NeurIPS 2017"

    def cost(self, params: Any, shape: Shape) -> int:
        """Return three rows a sample: at it, and at both ends."""
        return 3 * int(params.n_samples)
