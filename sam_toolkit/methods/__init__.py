"""Built-in attribution methods."""

from sam_toolkit.methods.gradient import Gradient
from sam_toolkit.methods.input_x_gradient import InputXGradient
from sam_toolkit.methods.sliding_patch import SlidingPatch
from sam_toolkit.methods.smoothgrad import SmoothGrad

__all__ = ["Gradient", "InputXGradient", "SlidingPatch", "SmoothGrad"]
