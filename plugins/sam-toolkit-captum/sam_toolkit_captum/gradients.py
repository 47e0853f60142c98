"""Captum's attributions by gradients and by rules that go backward through a network."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import captum.attr
import torch
from captum.attr._utils.lrp_rules import EpsilonRule
from torch import Tensor, nn

from sam_toolkit import field
from sam_toolkit_captum.base import CaptumMethod, Shape
from sam_toolkit_captum.running import Network


class CaptumSaliency(CaptumMethod, of=captum.attr.Saliency):
    """The gradient of the target's score, or its magnitude."""

    name = "captum-saliency"
    reference = "Simonyan et al., Deep Inside Convolutional Networks, 2014, arXiv:1312.6034"
    gradients = True


class CaptumInputXGradient(CaptumMethod, of=captum.attr.InputXGradient):
    """The input times the gradient of the target's score."""

    name = "captum-input-x-gradient"
    reference = "Shrikumar et al., Not Just a Black Box, 2016, arXiv:1605.01713"
    gradients = True


class CaptumGuidedBackprop(CaptumMethod, of=captum.attr.GuidedBackprop):
    """The gradient of which ReLUs let only the positive part through, where their input is positive too."""

    name = "captum-guided-backprop"
    reference = "Springenberg et al., Striving for Simplicity, 2015, arXiv:1412.6806"
    gradients = True


class CaptumDeconvolution(CaptumMethod, of=captum.attr.Deconvolution):
    """The gradient of which ReLUs let only the positive part through, whatever their input."""

    name = "captum-deconvolution"
    reference = "Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014"
    gradients = True


class CaptumDeepLift(CaptumMethod, of=captum.attr.DeepLift):
    """The differences of activations from a baseline's, propagated back by the rescale rule."""

    name = "captum-deep-lift"
    reference = "Shrikumar et al., Learning Important Features Through Propagating Activation Differences, ICML 2017"
    gradients = True
    passes = 2


class CaptumLRP(CaptumMethod, of=captum.attr.LRP):
    """Relevance that layers hand back to what they read, by captum's default rules (flattening hands on its share)."""

    name = "captum-lrp"
    reference = "Bach et al., On Pixel-Wise Explanations by Layer-Wise Relevance Propagation, PLOS ONE 2015"
    gradients = True
    passes = 2

    def built(self, network: Network, setting: Any, inputs: Tensor) -> captum.attr.Attribution:
        """Return captum's attribution of a copy: it changes weights on its way, and leaves rules at modules."""
        network.network = deepcopy(network.network)
        for part in network.modules():
            if isinstance(part, nn.Flatten):
                part.rule = EpsilonRule()
        return super().built(network, setting, inputs)


class FromRandomImages(CaptumMethod):
    """An attribution whose baselines are images of uniform noise over the range of each channel of the input."""

    gradients = True
    drawn = True

    @classmethod
    def declared(cls) -> dict[str, tuple[Any, Any]]:
        """Return how many baselines there are; captum takes them as a tensor."""
        number = field(8, ge=1, help="number of random images that stand for absence")
        return {**super().declared(), "baselines": (int, number)}

    def arguments(self, setting: Any, inputs: Tensor) -> dict[str, Any]:
        """Return what captum is asked, with the baselines."""
        low, high = inputs.amin(dim=(0, 2, 3), keepdim=True), inputs.amax(dim=(0, 2, 3), keepdim=True)
        noise = torch.rand(setting.baselines, *inputs.shape[1:]).to(inputs)
        return {**super().arguments(setting, inputs), "baselines": low + (high - low) * noise}


class CaptumGradientShap(FromRandomImages, of=captum.attr.GradientShap):
    """The mean of input less baseline times gradient at random points between them; baselines are random images."""

    name = "captum-gradient-shap"
    reference = "Lundberg and Lee, A Unified Approach to Interpreting Model Predictions, NeurIPS 2017"

    def cost(self, params: Any, shape: Shape) -> int:
        """Return the number of samples."""
        return int(params.n_samples)


class CaptumDeepLiftShap(FromRandomImages, of=captum.attr.DeepLiftShap):
    """The mean of DeepLift over baselines that are random images."""

    name = "captum-deep-lift-shap"
    reference = "Lundberg and Lee, A Unified Approach to Interpreting Model Predictions, NeurIPS 2017"

    def cost(self, params: Any, shape: Shape) -> int:
        """Return two rows a baseline."""
        return 2 * int(params.baselines)
