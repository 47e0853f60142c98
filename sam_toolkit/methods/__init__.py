"""Built-in attribution methods."""

from sam_toolkit.methods.grad_cam import GradCam
from sam_toolkit.methods.gradient import Gradient
from sam_toolkit.methods.guided_backprop import GuidedBackprop
from sam_toolkit.methods.input_x_gradient import InputXGradient
from sam_toolkit.methods.integrated_gradients import IntegratedGradients
from sam_toolkit.methods.lime import Lime, LimeParams
from sam_toolkit.methods.meaningful_perturbation import MeaningfulPerturbation
from sam_toolkit.methods.rise import Rise
from sam_toolkit.methods.sliding_patch import SlidingPatch
from sam_toolkit.methods.smoothgrad import SmoothGrad

__all__ = [
    "GradCam",
    "Gradient",
    "GuidedBackprop",
    "InputXGradient",
    "IntegratedGradients",
    "Lime",
    "LimeParams",
    "MeaningfulPerturbation",
    "Rise",
    "SlidingPatch",
    "SmoothGrad",
]
