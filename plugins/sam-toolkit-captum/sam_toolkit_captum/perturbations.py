"""Captum's attributions by what hiding parts of the input does to the score."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, factorial
from typing import Any, Literal

import captum.attr
import torch
from captum._utils.models.linear_model import SkLearnLasso
from captum.attr._core.lime import get_exp_kernel_similarity_function
from torch import Tensor

from sam_toolkit import ComponentError, field
from sam_toolkit_captum.base import CaptumMethod, Shape
from sam_toolkit_captum.running import Network


class CaptumOcclusion(CaptumMethod, of=captum.attr.Occlusion):
    """The drop of the score when a window is hidden, averaged over the windows over a pixel; the last overhang."""

    name = "captum-occlusion"
    reference = "Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014"

    def cost(self, params: Any, shape: Shape) -> int:
        """Return one row for the whole image and one a window."""
        side, step = params.sliding_window_shapes, params.strides
        down, across = (1 + ceil(max(length - side, 0) / step) for length in shape[1:])
        return 1 + int(down * across)

    def arguments(self, setting: Any, inputs: Tensor) -> dict[str, Any]:
        """Return what captum is asked; raises ComponentError where the window does not fit."""
        channels, height, width = inputs.shape[1:]
        side, step = setting.sliding_window_shapes, setting.strides
        if side > min(height, width) or step > side:
            raise ComponentError(
                f"CaptumOcclusion: sliding_window_shapes must be at most the image's shorter side, "
                f"{min(height, width)}, and strides at most the window's side; got {side} and {step}."
            )
        shapes = {"sliding_window_shapes": (channels, side, side), "strides": (channels, step, step)}
        return {**super().arguments(setting, inputs), **shapes}


class OfCells(CaptumMethod):
    """An attribution whose features are the cells of a grid over the image, all channels together."""

    def arguments(self, setting: Any, inputs: Tensor) -> dict[str, Any]:
        """Return what captum is asked, with the mask of the cells."""
        mask = cells(setting.feature_mask, (inputs.shape[2], inputs.shape[3])).expand_as(inputs[:1]).contiguous()
        return {**super().arguments(setting, inputs), "feature_mask": mask.to(inputs.device)}


class CaptumFeatureAblation(OfCells, of=captum.attr.FeatureAblation):
    """The drop of the score when a cell of a grid is hidden."""

    name = "captum-feature-ablation"
    reference = "Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014"

    def cost(self, params: Any, shape: Shape) -> int:
        """Return one row for the whole image and one a cell."""
        return 1 + features(params, shape)


class CaptumShapleyValueSampling(OfCells, of=captum.attr.ShapleyValueSampling):
    """Shapley values of a grid's cells, from random orders in which they are put back."""

    name = "captum-shapley-value-sampling"
    reference = "Strumbelj and Kononenko, An Efficient Explanation of Individual Classifications, JMLR 2010"
    drawn = True

    def cost(self, params: Any, shape: Shape) -> int:
        """Return one row for the baseline and one a cell and order."""
        return 1 + int(params.n_samples) * features(params, shape)


class CaptumShapleyValues(OfCells, of=captum.attr.ShapleyValues):
    """Exact Shapley values of the cells of a small grid, from all orders in which they can be put back."""

    name = "captum-shapley-values"
    reference = "Shapley, A Value for n-Person Games, 1953"

    @classmethod
    def declared(cls) -> dict[str, tuple[Any, Any]]:
        """Return a grid of few cells: the number of orders is the factorial of theirs."""
        return {"feature_mask": (int, field(2, ge=1, le=3, help="cells along a side of the grid: its features"))}

    def cost(self, params: Any, shape: Shape) -> int:
        """Return one row for the baseline and one a cell and order."""
        count = features(params, shape)
        return 1 + factorial(count) * count


class CaptumKernelShap(OfCells, of=captum.attr.KernelShap):
    """Shapley values of a grid's cells by weighted linear regression."""

    name = "captum-kernel-shap"
    reference = "Lundberg and Lee, A Unified Approach to Interpreting Model Predictions, NeurIPS 2017"
    drawn = True

    def cost(self, params: Any, shape: Shape) -> int:
        """Return the number of samples, of which the first is the whole image."""
        return int(params.n_samples)


class CaptumLime(OfCells, of=captum.attr.Lime):
    """The weights of a Lasso that imitates the network where random cells of a grid are hidden."""

    name = "captum-lime"
    reference = "Ribeiro et al., Why Should I Trust You, KDD 2016, arXiv:1602.04938"
    drawn = True

    @classmethod
    def read(cls) -> list[Callable[..., Any]]:
        """Return `attribute` and the kernel of similarity; the constructor takes objects, which these make."""
        return [cls.attribution.attribute, get_exp_kernel_similarity_function]

    @classmethod
    def declared(cls) -> dict[str, tuple[Any, Any]]:
        """Return what the signatures give as text or not at all."""
        return {
            "distance_mode": (
                Literal["cosine", "euclidean"],
                field("cosine", help="distance of samples from the image"),
            ),
            "kernel_width": (float, field(1.0, gt=0, help="width of the kernel that weighs samples by distance")),
            "alpha": (float, field(0.01, gt=0, help="weight of the Lasso's penalty")),
        }

    def built(self, network: Network, setting: Any, inputs: Tensor) -> captum.attr.Attribution:
        """Return captum's Lime with the regression and the kernel of the setting."""
        kernel = get_exp_kernel_similarity_function(setting.distance_mode, setting.kernel_width)
        return captum.attr.Lime(network, SkLearnLasso(alpha=setting.alpha), kernel)

    def cost(self, params: Any, shape: Shape) -> int:
        """Return the number of samples, of which the first is the whole image."""
        return int(params.n_samples)


def cells(count: int, size: tuple[int, int]) -> Tensor:
    """Return `[1, 1, H, W]`: the number of each pixel's cell in a grid of `count` a side, where there are so many."""
    down, across = (torch.arange(length) * min(count, length) // length for length in size)
    return (down[:, None] * min(count, size[1]) + across)[None, None]


def features(params: Any, shape: Shape) -> int:
    """Return the number of cells in the grid over an image of `shape` (C, H, W)."""
    return int(min(params.feature_mask, shape[1]) * min(params.feature_mask, shape[2]))
