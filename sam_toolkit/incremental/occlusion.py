"""Logits of images with windows hidden, of which only what changes is computed.

The clean image's activations are computed once. A hidden window changes a rectangle of each activation; batches of
windows recompute these, layer by layer, until they nearly cover the activations (Nakandala, Kumar and Papakonstantinou,
Incremental and Approximate Inference for Faster Occlusion-based Deep CNN Explanations, SIGMOD 2019). Results are those
of the whole network up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from sam_toolkit import ops
from sam_toolkit.errors import ModelError
from sam_toolkit.incremental.clean import CleanImage
from sam_toolkit.incremental.geometry import Ints
from sam_toolkit.incremental.plan import Part, Plan, Request, Window, plan
from sam_toolkit.incremental.program import Shape
from sam_toolkit.incremental.schedule import Batch
from sam_toolkit.lanes import lanes
from sam_toolkit.model import Model

Read = Callable[[Tensor, Tensor], Tensor]
"""Takes from logits `[n, K]` of images number `[n]` what is wanted of them, `[n, ...]`."""


_HEAD_ROWS = 8
"""How many chunks of rows share a pass through the head; of VGG-16's 8 took half as long a row as 1, on one core."""


class IncrementalOcclusion:
    """Occlusion of a network by the shortest way that gives the logits of the whole network.

    Modules that torch.fx cannot trace, and windows that change nearly everything, go through the whole network.
    """

    def __init__(self, model: Model | nn.Module) -> None:
        """Take a classifier; a bare module takes its inputs as they are."""
        self.model = Model.of(model)

    def __call__(self, image: Tensor, windows: Sequence[Window] | Tensor, fill: float | Tensor = 0.0) -> Tensor:
        """Return the logits `[W, K]` of `image`, `[C, H, W]` as the network takes it, with each window hidden.

        Args:
            image: floating point.
            windows: (y0, x0, y1, x1) each, ends exclusive, within the image.
            fill: what hides them: a number, one a channel `[C]`, or a second image `[C, H, W]`.

        Raises:
            ModelError: where a window is empty or leaves the image, or the network gives no finite logits `[N, K]`.
        """
        places: Sequence[Window] = windows.tolist() if isinstance(windows, Tensor) else windows
        filling = fill[None] if isinstance(fill, Tensor) and fill.dim() == 3 else fill
        _, (hidden,) = self.run(image[None], [Request(places, filling)], lambda logits, _: logits)
        return hidden[:, 0]

    def why_dense(self, shape: Shape, windows: Sequence[Window]) -> str:
        """Return why windows of images `shape` (C, H, W) go through the whole network; nothing where they do not."""
        return plan(self.model, shape, [Request(windows)]).why_dense

    def run(self, inputs: Tensor, requests: Sequence[Request], read: Read) -> tuple[Tensor, list[Tensor]]:
        """Return what is read of inputs `[N, C, H, W]`: whole `[N, ...]`, and hidden `[W, N, ...]` for each request.

        Model counts a row for each image and one for each window of each image. Raises ModelError as a call does.
        """
        for request in requests:
            _require_inside(request.windows, (inputs.shape[-2], inputs.shape[-1]))
        inputs = self.model.clamped(inputs.to(self.model.device))
        planned = plan(self.model, inputs.shape[1:], requests)
        if planned.program is None:
            return self._dense(inputs, requests, read)
        images = [_Image(self.model, planned, inputs, number, read) for number in range(len(inputs))]
        whole, hidden = zip(*(image.read(requests) for image in images), strict=True)
        return torch.cat(whole), [torch.stack(parts, dim=1) for parts in zip(*hidden, strict=True)]

    def _dense(self, inputs: Tensor, requests: Sequence[Request], read: Read) -> tuple[Tensor, list[Tensor]]:
        whole = read(self.model.logits(inputs), torch.arange(len(inputs)))
        return whole, [self._dense_hidden(inputs, request, read) for request in requests]

    def _dense_hidden(self, inputs: Tensor, request: Request, read: Read) -> Tensor:
        windows = torch.tensor(request.windows)
        parts, rows, start = [], len(windows) * len(inputs), 0
        while start < rows:
            numbers = torch.arange(start, min(start + self.model.chunk, rows))
            images = numbers % len(inputs)
            boxes = torch.cat([images[:, None], windows[numbers // len(inputs)]], dim=1)
            parts.append(read(self.model.logits(ops.occlude(inputs, boxes, request.fill)), images))
            start += len(numbers)
        found = torch.cat(parts)
        return found.view(len(windows), len(inputs), *found.shape[1:])


class _Image:
    """One image of a call, whose activations are there while its windows are read."""

    def __init__(self, model: Model, planned: Plan, inputs: Tensor, number: int, read: Read) -> None:
        self._model = model
        self._plan = planned
        self._image = inputs[number : number + 1]
        self._number = number
        self._read = read

    def read(self, requests: Sequence[Request]) -> tuple[Tensor, list[Tensor]]:
        """Return what is read, whole `[1, ...]` and hidden `[W, ...]` for each request."""
        program = self._plan.program
        assert program is not None
        clean = self._model.attempt(lambda: CleanImage(program, self._image), 1)
        assert clean is not None
        whole = self._taken(clean.logits)
        return whole, [
            self._hidden(clean, parts, request) for parts, request in zip(self._plan.parts, requests, strict=True)
        ]

    def _hidden(self, clean: CleanImage, parts: Sequence[Part], request: Request) -> Tensor:
        fill = _fill(request.fill, self._image, self._number)
        done = [
            (part.numbers[positions], values)
            for part in parts
            for positions, values in self._of_part(clean, part, fill)
        ]
        order = np.argsort(np.concatenate([numbers for numbers, _ in done]))
        return torch.cat([values for _, values in done])[torch.from_numpy(order)]

    def _of_part(self, clean: CleanImage, part: Part, fill: Tensor) -> Iterator[tuple[Ints, Tensor]]:
        """Yield positions and what is read of them: the head's weights are read once for several batches."""
        todo = part.schedule.batches[::-1]
        with lanes(self._image.device) as start:
            while todo:
                some, held = _popped(todo, _HEAD_ROWS * self._model.chunk), []
                for batch, result in zip(some, start(partial(_hide, clean, fill), some), strict=True):
                    features = self._model.attempt(result, len(batch))
                    if features is None:
                        todo += part.schedule.halves(batch)
                    else:
                        held.append((batch.positions, features))
                yield from self._read_all(clean, held)

    def _read_all(self, clean: CleanImage, held: Sequence[tuple[Ints, Tensor]]) -> Iterator[tuple[Ints, Tensor]]:
        todo = [(np.concatenate([one for one, _ in held]), torch.cat([one for _, one in held]))] if held else []
        while todo:
            positions, features = todo.pop()
            logits = self._model.attempt(partial(clean.read, features), len(features))
            if logits is None:
                todo += zip(np.array_split(positions, 2), features.tensor_split(2), strict=True)
            else:
                yield positions, self._taken(logits)

    def _taken(self, logits: Tensor) -> Tensor:
        return self._read(self._model.accepted(logits), torch.full((len(logits),), self._number))


def _popped(batches: list[Batch], rows: int) -> list[Batch]:
    """Take batches off the end, until they have so many rows."""
    found: list[Batch] = []
    while batches and sum(map(len, found)) < rows:
        found.append(batches.pop())
    return found


def _hide(clean: CleanImage, fill: Tensor, batch: Batch) -> Tensor:
    """Return the features `[n, F]` of a batch, hidden by an image `[1, C, H, W]`."""
    place = batch.places[clean.program.image]
    height, width = place.size
    corners = zip(place.y.tolist(), place.x.tolist(), strict=True)
    patches = [fill[0, :, y : y + height, x : x + width] for y, x in corners]
    return clean.hidden(batch, torch.stack(patches).contiguous(memory_format=torch.channels_last))


def _fill(fill: float | Tensor, image: Tensor, number: int) -> Tensor:
    """Return an image `[1, C, H, W]` of nothing but the fill."""
    if not isinstance(fill, Tensor):
        return image.new_full((), fill).expand(image.shape)
    fill = fill.to(image)
    return fill[number : number + 1] if fill.dim() == 4 else fill[:, None, None].expand(image.shape)


def _require_inside(windows: Sequence[Window], size: tuple[int, int]) -> None:
    height, width = size
    for window in windows:
        y0, x0, y1, x1 = window
        if not (0 <= y0 < y1 <= height and 0 <= x0 < x1 <= width):
            raise ModelError(
                f"IncrementalOcclusion: windows (y0, x0, y1, x1), ends exclusive, must be non-empty and inside the "
                f"image of {height} x {width}; got {tuple(window)}."
            )
