"""Captum's attributions to the input of what a channel of a layer says, whatever the class."""

from __future__ import annotations

from typing import Any

import captum.attr
from torch import Tensor

from sam_toolkit_captum.base import Shape
from sam_toolkit_captum.gradients import FromRandomImages
from sam_toolkit_captum.layers import AtLayer
from sam_toolkit_captum.perturbations import OfCells, features


class OfChannel(AtLayer):
    """An attribution of the sum of a channel of a layer over its places."""

    def arguments(self, setting: Any, inputs: Tensor) -> dict[str, Any]:
        """Return what captum is asked, with the channel."""

        def summed(output: Tensor) -> Tensor:
            return output[:, setting.neuron_selector].flatten(1).sum(dim=1)

        return {**super().arguments(setting, inputs), "neuron_selector": summed}


class CaptumNeuronGradient(OfChannel, of=captum.attr.NeuronGradient):
    """The gradient of a channel."""

    name = "captum-neuron-gradient"
    reference = "Simonyan et al., Deep Inside Convolutional Networks, 2014, arXiv:1312.6034"


class CaptumNeuronIntegratedGradients(OfChannel, of=captum.attr.NeuronIntegratedGradients):
    """Integrated gradients of a channel."""

    name = "captum-neuron-integrated-gradients"
    reference = "Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017, arXiv:1703.01365"

    def cost(self, params: Any, shape: Shape) -> int:
        """Return one row a step."""
        return int(params.n_steps)


class CaptumNeuronConductance(OfChannel, of=captum.attr.NeuronConductance):
    """How much of integrated gradients flows through a channel."""

    name = "captum-neuron-conductance"
    reference = "Dhamdhere et al., How Important Is a Neuron, ICLR 2019, arXiv:1805.12233"

    def cost(self, params: Any, shape: Shape) -> int:
        """Return one row a step."""
        return int(params.n_steps)


class CaptumNeuronDeepLift(OfChannel, of=captum.attr.NeuronDeepLift):
    """DeepLift of a channel."""

    name = "captum-neuron-deep-lift"
    reference = "Shrikumar et al., Learning Important Features Through Propagating Activation Differences, ICML 2017"
    passes = 2


class CaptumNeuronDeepLiftShap(FromRandomImages, OfChannel, of=captum.attr.NeuronDeepLiftShap):
    """The mean of DeepLift of a channel over baselines that are random images."""

    name = "captum-neuron-deep-lift-shap"
    reference = "Lundberg and Lee, A Unified Approach to Interpreting Model Predictions, NeurIPS 2017"

    def cost(self, params: Any, shape: Shape) -> int:
        """Return two rows a baseline."""
        return 2 * int(params.baselines)


class CaptumNeuronGradientShap(FromRandomImages, OfChannel, of=captum.attr.NeuronGradientShap):
    """GradientShap of a channel; baselines are random images."""

    name = "captum-neuron-gradient-shap"
    reference = "Lundberg and Lee, A Unified Approach to Interpreting Model Predictions, NeurIPS 2017"

    def cost(self, params: Any, shape: Shape) -> int:
        """Return one row a sample."""
        return int(params.n_samples)


class CaptumNeuronGuidedBackprop(OfChannel, of=captum.attr.NeuronGuidedBackprop):
    """Guided backpropagation of a channel."""

    name = "captum-neuron-guided-backprop"
    reference = "Springenberg et al., Striving for Simplicity, 2015, arXiv:1412.6806"


class CaptumNeuronDeconvolution(OfChannel, of=captum.attr.NeuronDeconvolution):
    """Deconvolution of a channel."""

    name = "captum-neuron-deconvolution"
    reference = "Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014"


class CaptumNeuronFeatureAblation(OfCells, OfChannel, of=captum.attr.NeuronFeatureAblation):
    """The drop of a channel when a cell of a grid is hidden."""

    name = "captum-neuron-feature-ablation"
    reference = "captum.attr.NeuronFeatureAblation"
    gradients = False

    def cost(self, params: Any, shape: Shape) -> int:
        """Return one row for the whole image and one a cell."""
        return 1 + features(params, shape)
