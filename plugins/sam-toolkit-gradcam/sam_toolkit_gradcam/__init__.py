"""The class activation maps of pytorch-grad-cam as methods."""

from __future__ import annotations

from typing import Any

import pytorch_grad_cam as library
from pytorch_grad_cam.base_cam import BaseCAM
from torch import Tensor

from sam_toolkit import Method, Model, hookimpl
from sam_toolkit_gradcam.base import (
    AblationParams,
    CamMethod,
    FemParams,
    KernelParams,
    LayerParams,
    LayerTargetParams,
    RandomParams,
    TargetParams,
    WeightedParams,
)
from sam_toolkit_gradcam.running import Network

SAM_TOOLKIT_INTERFACE = 1


class GradCam(CamMethod[WeightedParams]):
    """Activations, weighted by the mean gradient over each channel."""

    name = "gradcam-grad-cam"
    reference = "Selvaraju et al., Grad-CAM, ICCV 2017, arXiv:1610.02391"
    cam = library.GradCAM


class GradCamElementWise(CamMethod[WeightedParams]):
    """The positive part of gradient times activation, summed over channels."""

    name = "gradcam-grad-cam-element-wise"
    reference = "pytorch_grad_cam.GradCAMElementWise"
    cam = library.GradCAMElementWise


class GradCamPlusPlus(CamMethod[WeightedParams]):
    """Activations, weighted by positive gradients of which higher derivatives weigh each."""

    name = "gradcam-grad-cam-plus-plus"
    reference = "Chattopadhay et al., Grad-CAM++, WACV 2018, arXiv:1710.11063"
    cam = library.GradCAMPlusPlus


class HiResCam(CamMethod[WeightedParams]):
    """Gradient times activation, summed over channels."""

    name = "gradcam-hires-cam"
    reference = "Draelos and Carin, Use HiResCAM instead of Grad-CAM, 2020, arXiv:2011.08891"
    cam = library.HiResCAM


class LayerCam(CamMethod[WeightedParams]):
    """The positive part of the gradient times activation, summed over channels."""

    name = "gradcam-layer-cam"
    reference = "Jiang et al., LayerCAM, IEEE Transactions on Image Processing 2021"
    cam = library.LayerCAM


class XGradCam(CamMethod[WeightedParams]):
    """Activations, weighted by gradients that each place's share of the activation weighs."""

    name = "gradcam-x-grad-cam"
    reference = "Fu et al., Axiom-based Grad-CAM, BMVC 2020, arXiv:2008.02312"
    cam = library.XGradCAM


class ShapleyCam(CamMethod[WeightedParams]):
    """Activations, weighted by the mean of the gradient less half of the Hessian times the activation."""

    name = "gradcam-shapley-cam"
    reference = "Cai, CAMs as Shapley Value-based Explainers, 2025, arXiv:2501.06261"
    cam = library.ShapleyCAM
    learning = True


class RandomCam(CamMethod[RandomParams]):
    """Activations with random weights of channels: a control."""

    name = "gradcam-random-cam"
    reference = "pytorch_grad_cam.RandomCAM"
    cam = library.RandomCAM
    alone = True


class EigenCam(CamMethod[LayerParams]):
    """The first principal component of the activations, whatever the class."""

    name = "gradcam-eigen-cam"
    reference = "Muhammad and Yeasin, Eigen-CAM, IJCNN 2020, arXiv:2008.00299"
    cam = library.EigenCAM
    gradients = False
    alone = True


class EigenGradCam(CamMethod[LayerTargetParams]):
    """The first principal component of gradient times activation."""

    name = "gradcam-eigen-grad-cam"
    reference = "pytorch_grad_cam.EigenGradCAM"
    cam = library.EigenGradCAM
    alone = True


class SegEigenCam(CamMethod[LayerTargetParams]):
    """The first principal component of activations times magnitudes of gradients, its larger side up."""

    name = "gradcam-seg-eigen-cam"
    reference = "Chung and Ying, Seg-Eigen-CAM, Applied Sciences 2025"
    cam = library.SegEigenCAM
    alone = True


class KpcaCam(CamMethod[KernelParams]):
    """The first component of a kernel's analysis of the activations, whatever the class."""

    name = "gradcam-kpca-cam"
    reference = "Karmani et al., KPCA-CAM, 2024, arXiv:2410.00267"
    cam = library.KPCA_CAM
    gradients = False
    alone = True


class Fem(CamMethod[FemParams]):
    """Activations, weighted by how many of a channel's stand out, whatever the class."""

    name = "gradcam-fem"
    reference = "Fuad et al., Features Understanding in 3D CNNs, IPTA 2020"
    cam = library.FEM
    gradients = False


class ScoreCam(CamMethod[WeightedParams]):
    """Activations, weighted by the score of the image that each channel masks."""

    name = "gradcam-score-cam"
    reference = "Wang et al., Score-CAM, CVPR Workshops 2020, arXiv:1910.01279"
    cam = library.ScoreCAM
    gradients = False
    beside = 0


class AblationCam(CamMethod[AblationParams]):
    """Activations, weighted by the drop of the score without each channel."""

    name = "gradcam-ablation-cam"
    reference = "Desai and Ramaswamy, Ablation-CAM, WACV 2020"
    cam = library.AblationCAM
    gradients = False
    beside = 1


class FullGrad(CamMethod[TargetParams]):
    """Input times gradient and, at each convolution and normalisation, bias times gradient, in magnitude, summed."""

    name = "gradcam-full-grad"
    reference = "Srinivas and Fleuret, Full-Gradient Representation, NeurIPS 2019, arXiv:1905.00780"
    cam = library.FullGrad

    def layer(self, model: Model, inputs: Tensor, setting: Any) -> tuple[str, int]:
        """Return none: all that have a bias are looked at."""
        return "", 0

    def built(self, network: Network, name: str, setting: Any) -> BaseCAM:
        """Return the library's object, which finds the layers itself."""
        return self.cam(network, [])


@hookimpl
def sam_toolkit_components() -> list[type[Method[Any]]]:
    """Return the maps as methods."""
    return [value for value in globals().values() if isinstance(value, type) and "cam" in vars(value)]
