"""The activations of the image as it is, and what becomes of them where windows are hidden."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from sam_toolkit.incremental.program import Program, Step
from sam_toolkit.incremental.schedule import Batch
from sam_toolkit.incremental.values import Windows


class CleanImage:
    """An image with all its activations that windows are cut from."""

    def __init__(self, program: Program, image: Tensor) -> None:
        """Send `image` `[1, C, H, W]` through the network."""
        self.program = program
        self.values: dict[fx.Node, Any] = {program.image: image.contiguous(memory_format=torch.channels_last)}
        for step in program.steps:
            self.values[step.node] = program.whole(step, self.values)

    @property
    def logits(self) -> Tensor:
        """Return the logits `[1, K]` of the image as it is."""
        logits: Tensor = self.values[self.program.result]
        return logits

    def hidden(self, batch: Batch, patches: Tensor) -> Tensor:
        """Return the features `[n, F]` where each of a batch's windows is replaced by its patch `[n, C, h, w]`."""
        values: dict[fx.Node, Any] = {}
        self._hold(values, self.program.image, patches, batch)
        for step in self.program.body:
            self._advance(step, values, batch)
            for node in step.spent:
                values.pop(node, None)
        features: Tensor = values[self.program.features]
        return features

    def read(self, features: Tensor) -> Tensor:
        """Return the logits `[n, K]` of features `[n, F]`, of however many batches."""
        values: dict[fx.Node, Any] = {self.program.features: features}
        for step in self.program.head:
            values[step.node] = self.program.whole(step, values)
        logits: Tensor = values[self.program.result]
        return logits

    def _advance(self, step: Step, values: dict[fx.Node, Any], batch: Batch) -> None:
        inputs = [values[node] for node in step.inputs]
        place, operator = batch.places.get(step.node), step.operator
        windows = [one for one in inputs if isinstance(one, Windows)]
        if operator is None or len(windows) < len(inputs) or (place is None and not operator.reduces):
            values[step.node] = self.program.whole(step, _whole(step, values, len(batch)))
        elif place is None:
            values[step.node] = operator.window(windows, windows[0].place)
        else:
            self._hold(values, step.node, operator.window(windows, place), batch)

    def _hold(self, values: dict[fx.Node, Any], node: fx.Node, patch: Tensor, batch: Batch) -> None:
        values[node] = Windows(self.values[node], patch, batch.places[node])


def _whole(step: Step, values: dict[fx.Node, Any], count: int) -> dict[fx.Node, Any]:
    """Return a step's inputs without windows."""
    inputs = {node: values[node] for node in step.inputs}
    windows = {node: one for node, one in inputs.items() if isinstance(one, Windows)}
    if step.asks_for_shape:
        return inputs | {node: one.clean.expand(count, *one.clean.shape[1:]) for node, one in windows.items()}
    return inputs | {node: one.whole for node, one in windows.items()}
