"""How many multiply-adds occlusion needs, whole and as windows, before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import fx, nn
from torch.utils.flop_counter import FlopCounterMode

from sam_toolkit.incremental.geometry import Region, input_region
from sam_toolkit.incremental.kept import program_of
from sam_toolkit.incremental.plan import Request, Window, plan
from sam_toolkit.incremental.program import Program, Shape
from sam_toolkit.incremental.schedule import Batch
from sam_toolkit.incremental.tracing import NotTraced
from sam_toolkit.model import Model


@dataclass(frozen=True)
class Saving:
    """Multiply-adds of all windows of one image.

    Attributes:
        dense: through the whole network; 0 where they cannot be counted.
        least: of those, what depends on a hidden pixel: no exact way needs fewer.
        incremental: what the batches of windows do; as `dense` where windows are not used.
        why_dense: why they are not; empty where they are.
    """

    dense: int
    least: int
    incremental: int
    why_dense: str = ""


def saving(model: Model | nn.Module, shape: Shape, windows: Sequence[Window]) -> Saving:
    """Return the multiply-adds that `windows` of an image of `shape` (C, H, W) cost; nothing is computed for it."""
    model = Model.of(model)
    planned = plan(model, shape, [Request(windows)])
    try:
        program = program_of(model.module, shape)
    except NotTraced:
        dense = len(windows) * _counted(model.module, shape)
        return Saving(dense, dense, dense, planned.why_dense)
    dense = len(windows) * sum(program.multiply_adds[step.node] for step in program.steps)
    table = np.array(windows, dtype=np.int64).reshape(-1, 4)
    least = _changed(program, program.regions(input_region(table, (shape[-2], shape[-1]))), len(table))
    if planned.program is None:
        return Saving(dense, least, dense, planned.why_dense)
    batches = [batch for parts in planned.parts for part in parts for batch in part.schedule.batches]
    return Saving(dense, least, sum(_of_batch(program, batch) for batch in batches))


def _changed(program: Program, regions: Mapping[fx.Node, Region], count: int) -> int:
    """Return the multiply-adds of all that changes, for each of `count` positions by itself."""
    shares = {node: float(region.pixels.sum()) / region.full for node, region in regions.items()}
    return round(sum(program.multiply_adds[step.node] * shares.get(step.node, count) for step in program.steps))


def _of_batch(program: Program, batch: Batch) -> int:
    shares = {node: math.prod(place.size) / math.prod(place.full) for node, place in batch.places.items()}
    each = sum(program.multiply_adds[step.node] * shares.get(step.node, 1.0) for step in program.steps)
    return round(each * len(batch))


def _counted(module: nn.Module, shape: Shape) -> int:
    """Return the multiply-adds of a module on an image without values; 0 where it does not run on such."""
    try:
        empty = {id(tensor): tensor.to("meta") for tensor in (*module.parameters(), *module.buffers())}
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            deepcopy(module, memo=empty).eval()(torch.empty(1, *shape, device="meta"))
    except Exception:  # noqa: BLE001 - a stranger's forward, run without values, may raise anything
        return 0
    return int(counter.get_total_flops()) // 2
