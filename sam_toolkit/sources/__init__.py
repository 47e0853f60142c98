"""Where models and photographs come from."""

from __future__ import annotations

from sam_toolkit.sources.bundled_images import BundledImages
from sam_toolkit.sources.datasets import Dataset
from sam_toolkit.sources.efficientnet_lite import EfficientNetLite
from sam_toolkit.sources.image_folder import ImageFolder
from sam_toolkit.sources.python_module import PythonModule
from sam_toolkit.sources.reference_nets import ReferenceNets
from sam_toolkit.sources.torchvision_zoo import TorchvisionZoo

__all__ = [
    "BundledImages", "Dataset", "EfficientNetLite", "ImageFolder", "PythonModule", "ReferenceNets", "TorchvisionZoo",
]  # fmt: skip
