"""The classifiers of whole studies: one with trained weights, and others whose random weights make images matter."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models import get_model

from sam_toolkit.bench.study_settings import LITE
from sam_toolkit.images import Preprocessing
from sam_toolkit.model import Model
from sam_toolkit.sources.categories import imagenet_categories
from sam_toolkit.sources.efficientnet_lite import EfficientNetLite

_SIDE, _MEAN, _STD = 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def open_network(name: str) -> Model:
    """Return the classifier: EfficientNet-Lite0 as its package has it, one of torchvision's with random weights."""
    if name == LITE:
        return EfficientNetLite().load(name)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = get_model(name, init_weights=False)
        for part in net.modules():
            _randomise(part)
    preprocessing = Preprocessing(_SIDE, 256, mean=_MEAN, std=_STD)
    return Model(net.eval().requires_grad_(False), name, preprocessing=preprocessing, categories=imagenet_categories())


def _randomise(part: nn.Module) -> None:
    """Draw weights as He et al. (2015), and statistics of batch norm near 1."""
    if isinstance(part, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
    if isinstance(part, nn.BatchNorm2d):
        nn.init.normal_(part.bias, std=0.1)
        nn.init.uniform_(part.weight, 0.5, 1.2)
        if part.running_mean is not None and part.running_var is not None:
            nn.init.normal_(part.running_mean, std=0.1)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
