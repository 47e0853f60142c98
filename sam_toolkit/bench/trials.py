"""How quick the bare network is by layout and batch, and in which way a script is quickest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from sam_toolkit.bench.script import Layout, Network, Seen, Way, sliding_patch, smoothgrad
from sam_toolkit.bench.study_records import Speeds
from sam_toolkit.bench.timing import Stopwatch
from sam_toolkit.methods.sliding_patch import SlidingPatchParams
from sam_toolkit.methods.smoothgrad import SmoothGradParams

_LAYOUTS: tuple[Layout, ...] = ("contiguous", "channels_last")
_BATCHES = (8, 32)
_WINDOWS = 5
"""Windows down and across on a trial of the sliding patch."""


@dataclass(frozen=True)
class Trials:
    """The ways of a script by method, and what the bare network could do."""

    ways: dict[str, Way]
    speeds: Speeds


def try_out(module: nn.Module, seen: Seen, mask_steps: Mapping[int, int], stopwatch: Stopwatch) -> Trials:
    """Return what was quickest on a few rows; the network may be in another layout afterwards.

    `mask_steps` says by number of rows how many steps of masks have that many.
    """
    inputs = seen.inputs(seen.image)[None]
    rate = partial(_rates, inputs=inputs, mask_steps=mask_steps, stopwatch=stopwatch)
    plain = {layout: rate(Network(module, layout)) for layout in _LAYOUTS}
    every = [*plain.values(), rate(Network(_folded(module), "channels_last"))]
    forward = min((rates.forward, layout) for layout, rates in plain.items())  # the quickest, its batch, its layout
    backward = min((rates.backward, layout) for layout, rates in plain.items())
    ways = {
        "sliding-patch": _quicker(module, Way("captum", forward[1], forward[0][1]), partial(_slid, seen), stopwatch),
        "smoothgrad": _quicker(module, Way("captum", backward[1], backward[0][1]), partial(_smooth, seen), stopwatch),
        "lime": Way("loop", forward[1], forward[0][1]),
        "meaningful-perturbation": Way("loop", _single(module, inputs, stopwatch), forward[0][1]),
    }
    speeds = Speeds(
        forward=min(rates.forward[0] for rates in every),
        backward=min(rates.backward[0] for rates in every),
        masks=sum(steps * min(rates.steps[rows] for rates in every) for rows, steps in mask_steps.items()),
        ways={name: str(way) for name, way in ways.items()},
    )
    return Trials(ways, speeds)


def _folded(module: nn.Module) -> nn.Module:
    """Return a copy with batch norm in the convolutions, or as it is where torch.fx cannot trace it."""
    try:
        return fuse(deepcopy(module))
    except Exception:  # noqa: BLE001 - tracing a stranger's forward may raise anything
        return module


@dataclass(frozen=True)
class _Rates:
    """How quick a network is in one layout.

    Attributes:
        forward: seconds a row, and the batch that takes them.
        backward: the same, forward and backward.
        steps: seconds of a step of masks, by its rows.
    """

    forward: tuple[float, int]
    backward: tuple[float, int]
    steps: dict[int, float]


def _rates(net: Network, inputs: Tensor, mask_steps: Mapping[int, int], stopwatch: Stopwatch) -> _Rates:
    forward, backward = (
        min((_seconds(partial(turn, net, inputs, batch), stopwatch) / batch, batch) for batch in _BATCHES)
        for turn in (_forward, _backward)
    )
    steps = {rows: _seconds(partial(_backward, net, inputs, rows), stopwatch) for rows in mask_steps}
    return _Rates(forward, backward, steps)


def _seconds(call: Callable[[], object], stopwatch: Stopwatch) -> float:
    call()
    return min(stopwatch.seconds(call) for _ in range(2))


def _forward(net: Network, inputs: Tensor, batch: int) -> Tensor:
    return net.probabilities(inputs.repeat(batch, 1, 1, 1))


def _backward(net: Network, inputs: Tensor, batch: int) -> Tensor:
    rows = inputs.repeat(batch, 1, 1, 1).requires_grad_()
    return torch.autograd.grad(net(rows)[:, 0].sum(), rows)[0]


def _single(module: nn.Module, inputs: Tensor, stopwatch: Stopwatch) -> Layout:
    """Return the layout in which a row by itself is quickest forward and backward."""
    seconds = {
        layout: _seconds(partial(_backward, Network(module, layout), inputs, 1), stopwatch) for layout in _LAYOUTS
    }
    return min(seconds, key=seconds.__getitem__)


def _quicker(module: nn.Module, way: Way, make: Callable[[Network, Way], object], stopwatch: Stopwatch) -> Way:
    """Return the way as it is, or with a loop in the place of captum."""
    net = Network(module, way.layout)
    ways: list[Way] = [way, replace(way, library="loop")]
    return min(ways, key=lambda one: _seconds(partial(make, net, one), stopwatch))


def _slid(seen: Seen, net: Network, way: Way) -> Tensor:
    side = seen.image.shape[-1]
    patch = side // 4
    return sliding_patch(net, seen, SlidingPatchParams(patch=patch, stride=(side - patch) // (_WINDOWS - 1)), way)


def _smooth(seen: Seen, net: Network, way: Way) -> Tensor:
    return smoothgrad(net, seen, SmoothGradParams(samples=2 * way.batch), way)
