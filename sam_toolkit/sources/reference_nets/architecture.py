"""The networks that reference weights are for: a plain chain of convolutions, so that every method takes them."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from sam_toolkit.sources.dataset_facts import DATASETS, DatasetName

_WIDTHS: dict[DatasetName, tuple[tuple[int, ...], ...]] = {
    "mnist": ((16,), (32, 32), (64,)),
    "fashion-mnist": ((16,), (32, 32), (64,)),
    "cifar10": ((16, 32), (64,), (64, 64)),
}
"""Channels of each convolution, by stage."""


def network(dataset: DatasetName) -> nn.Sequential:
    """Return the untrained network for a data set's normalised images `[N, C, side, side]`, with logits `[N, 10]`.

    3 x 3 convolutions, each with a ReLU of its own; every stage but the first begins with a stride of 2, and a linear
    layer reads the last.
    """
    facts = DATASETS[dataset]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels, side, number = len(facts.mean), facts.side, 0
    for stage, widths in enumerate(_WIDTHS[dataset]):
        for place, width in enumerate(widths):
            number += 1
            stride = 2 if stage and not place else 1
            layers[f"conv{number}"] = nn.Conv2d(channels, width, 3, stride, padding=1)
            layers[f"relu{number}"] = nn.ReLU()
            channels, side = width, side // stride
    layers["flatten"] = nn.Flatten()
    layers["head"] = nn.Linear(channels * side**2, len(facts.categories))
    return nn.Sequential(layers)
