"""The only caller of a network: normalises, chunks, counts rows, backs off when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict, replace
from threading import Lock
from typing import Self, TypeVar

import torch
from torch import Tensor, nn

from sam_toolkit.chunks import Build, chunks
from sam_toolkit.errors import ModelError
from sam_toolkit.evaluation import Precision, Rows, Score, computing, evaluating, out_of_memory, pick, require_finite
from sam_toolkit.images import Photo, PhotoOrigin, Preprocessing
from sam_toolkit.inference import Execution, Network
from sam_toolkit.lanes import Lanes, in_turn, lanes
from sam_toolkit.types import Batch, digest, tensor_digest

__all__ = ["Build", "Model", "Precision", "Rows", "Score", "pick"]

T = TypeVar("T")

_CHUNKS = {"cpu": 16, "cuda": 128}
"""Rows at once by type of device; the number for a GPU has not been measured on one."""
_COUNTING = Lock()


class Model:
    """A classifier as components see it.

    *Images* are in [0, 1]; *inputs* are what the network itself takes: images after normalisation.
    Gradients and occlusion work on inputs, where the fill `mean` is zero. What it returns for inputs that require a
    gradient has one too: the rows of a chunk go through the network again when it is taken.

    Attributes:
        name: what the study calls it.
        preprocessing: how photographs become its images; None where images are inputs as they are.
        categories: class names, or empty.
        chunk: rows sent through the network at once; halved for good when memory runs out.
        incremental: whether occlusion may recompute only what a window changes; results are the same up to rounding.
        faster: whether a copy with folded batch norm may run in the network's place; the same up to rounding.
        precision: what operators compute with; "bfloat16" is quicker where processors have it, and coarse.
        start: how chunks are begun: each when the one before is done, or several at once.
        watch: told after each chunk how many rows have been counted; None: nobody is.
    """

    def __init__(
        self,
        module: nn.Module,
        name: str = "",
        *,
        preprocessing: Preprocessing | None = None,
        categories: Sequence[str] = (),
        chunk: int | None = None,
    ) -> None:
        """Wrap `module`, which stays as it is: its mode, its gradients and its hooks."""
        self.module = module
        self.name = name or type(module).__name__
        self.preprocessing = preprocessing
        self.categories = tuple(categories)
        self.chunk = chunk or _CHUNKS["cpu"]
        self._chunk_given = chunk is not None
        self.counted = Rows()
        self.incremental = True
        self.faster = True
        self.precision: Precision = "float32"
        self.watch: Callable[[int], None] | None = None
        self._fingerprint = ""
        self._network = Network(module)
        self.start: Lanes = in_turn

    @classmethod
    def of(cls, model: Model | nn.Module) -> Self | Model:
        """Return `model` itself, or a bare module wrapped so that it takes its inputs as they are."""
        return model if isinstance(model, Model) else cls(model)

    def computing(self, precision: Precision) -> Self:
        """Return the same model with operators that compute with `precision`, and with counts of its own."""
        model = self.named(self.name)
        model.precision, model._fingerprint = precision, ""
        return model

    def named(self, name: str) -> Self:
        """Return the same model under another name, with counts of its own."""
        model = copy(self)
        model.name, model.counted, model.start = name, Rows(), in_turn
        return model

    def holding(self, module: nn.Module) -> Self:
        """Return the same model with another network of the same inputs and classes, and with counts of its own."""
        model = self.named(self.name)
        model.module, model._fingerprint = module, ""
        return model

    @property
    def device(self) -> torch.device:
        """Return where the network's parameters are."""
        return next((tensor.device for tensor in self._tensors()), torch.device("cpu"))

    @property
    def fingerprint(self) -> str:
        """Return a digest of the architecture, the weights, the preprocessing and the precision."""
        if not self._fingerprint:
            weights = [f"{name}:{tensor_digest(value)}" for name, value in sorted(self.module.state_dict().items())]
            settings = str(asdict(self.preprocessing)) if self.preprocessing else ""
            parts = [type(self.module).__qualname__, str(self.module), settings, *weights]
            self._fingerprint = digest(*parts, *([] if self.precision == "float32" else [self.precision]))
        return self._fingerprint

    def to(self, device: torch.device | str) -> Self:
        """Move the network, and choose the chunk for the device unless it was given; returns this model."""
        self.module.to(device)
        if not self._chunk_given:
            self.chunk = _CHUNKS.get(self.device.type, _CHUNKS["cpu"])
        return self

    def execution(self, shape: Sequence[int]) -> Execution:
        """Return how rows of images `shape` (C, H, W) are run: by a copy of the network, or as it is and why."""
        network, like = self._running(), torch.zeros(1, *shape, device=self.device)
        found = network.execution(like) if isinstance(network, Network) else Execution("it is asked for")
        return replace(found, precision=self.precision)

    def inputs(self, images: Tensor) -> Tensor:
        """Return images `[..., C, H, W]` normalised, on the network's device."""
        images = images.to(self.device)
        return images if self.preprocessing is None else self.preprocessing.normalised(images)

    def scale(self) -> Tensor | float:
        """Return d images / d inputs, `[C, 1, 1]`: a gradient at the images is that at the inputs divided by it."""
        return 1.0 if self.preprocessing is None else self.preprocessing.statistics(self.device)[1]

    def logits(self, inputs: Tensor) -> Tensor:
        """Return the logits `[N, K]` of inputs `[N, C, H, W]`; raises ModelError where they are not finite."""
        return torch.cat(list(chunks(self, lambda start, stop: inputs[start:stop], len(inputs), self._forward)))

    def predict(self, images: Tensor) -> Tensor:
        """Return the predicted class `[N]` of images `[N, C, H, W]`."""
        return self.logits(self.inputs(images)).argmax(dim=1)

    def scores(self, build: Build, targets: Tensor, score: Score) -> Tensor:
        """Return the score `[R]` of each row's target; row r is `build(r, r + 1)[0]`, with class `targets[r]`."""
        targets = targets.to(self.device)

        def evaluate(start: int, inputs: Tensor) -> Tensor:
            return pick(self._forward(start, inputs), targets[start : start + len(inputs)], score)

        return torch.cat(list(chunks(self, build, len(targets), evaluate)))

    def gradients(self, build: Build, targets: Tensor, score: Score) -> Iterator[tuple[int, Tensor]]:
        """Yield (first row, gradients `[n, C, H, W]` of the scores at the inputs), chunk by chunk in order.

        Rows are independent: the gradient of one does not depend on which others share its chunk.
        """
        targets = targets.to(self.device)
        start = 0

        def evaluate(start: int, inputs: Tensor) -> Tensor:
            traced = inputs.requires_grad
            with torch.enable_grad():
                inputs = inputs if traced else inputs.detach().requires_grad_()
                values = pick(self._forward(start, inputs), targets[start : start + len(inputs)], score)
                (gradient,) = torch.autograd.grad(values.sum(), inputs, create_graph=traced)
            require_finite(gradient, f"The gradient of model {self.name!r}")
            self._count(Rows(0, len(inputs)))
            return gradient

        for gradient in chunks(self, build, len(targets), evaluate):
            yield start, gradient
            start += len(gradient)

    @contextmanager
    def one_by_one(self, shape: Sequence[int]) -> Iterator[None]:
        """Send each row of images `shape` (C, H, W) through the network alone on a CPU, on one thread where it can be.

        Beside others a row is rounded otherwise. Rows go side by side on PyTorch's threads where a copy of the network
        runs; a module of the user's may not bear that.
        """
        if self.device.type != "cpu":
            yield
            return
        before = self.chunk, self.start
        with evaluating(self.module), lanes(self.device) as start:
            self.chunk, self.start = 1, in_turn if self.execution(shape).plain else start
            try:
                yield
            finally:
                self.chunk, self.start = before

    def attempt(self, evaluate: Callable[[], T], rows: int) -> T | None:
        """Return what `evaluate` makes of `rows` rows, without gradients; None where memory ran out: fewer may fit."""
        try:
            with evaluating(self.module), torch.no_grad():
                return evaluate()
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
        self._shrink(rows)
        return None

    def accepted(self, logits: Tensor) -> Tensor:
        """Return logits `[N, K]`, however computed, and count their rows; raises ModelError where one is not finite."""
        require_finite(logits, f"Model {self.name!r}")
        self._count(Rows(len(logits)))
        return logits

    def clamped(self, inputs: Tensor) -> Tensor:
        """Return inputs `[N, C, H, W]` as the network gets them: of images within [0, 1], where it takes no others."""
        return inputs if self.preprocessing is None else self.preprocessing.clamped(inputs)

    def check(self, batch: Batch) -> None:
        """Raise ModelError where the network cannot take the batch's images or has no such target."""
        classes = self.classes(batch.images[:1])
        wrong = [int(target) for target in batch.targets if not 0 <= int(target) < classes]
        if wrong:
            raise ModelError(f"Model {self.name!r} has classes 0 to {classes - 1}; got target {wrong[0]}.")

    def classes(self, images: Tensor) -> int:
        """Return the number of classes, from the names or from one row of `images` `[1, C, H, W]`."""
        return len(self.categories) or self.logits(self.inputs(images)).shape[1]

    def image(self, photo: Photo) -> Tensor:
        """Return the photograph as an image `[C, H, W]`; raises ImageError where it cannot be read."""
        return self._geometry.image(photo)

    def batch(self, photos: Sequence[Photo]) -> Batch:
        """Return the photographs as a batch: labels as targets, predicted classes where there are none.

        Raises ImageError where a photograph cannot be read, ModelError where a label is no class of the model.
        """
        images = torch.stack([self.image(photo) for photo in photos])
        labels = [photo.label for photo in photos]
        predicted = self.predict(images).tolist() if None in labels else labels
        targets = [own if label is None else label for label, own in zip(labels, predicted, strict=True)]
        boxes = [(i, *box) for i, photo in enumerate(photos) for box in self._geometry.boxes(photo)]
        batch = Batch(
            images,
            torch.tensor(targets, dtype=torch.int64),
            tuple(photo.digest for photo in photos),
            torch.tensor(boxes, dtype=torch.int64).reshape(-1, 5),
            tuple(PhotoOrigin(photo, self._geometry) for photo in photos),
        )
        self.check(batch)
        return batch

    def category(self, target: int) -> str:
        """Return "espresso (967)", or the number alone where classes have no names."""
        return f"{self.categories[target]} ({target})" if self.categories else str(target)

    @property
    def _geometry(self) -> Preprocessing:
        return self.preprocessing or Preprocessing(mean=(), std=())

    def _tensors(self) -> Iterator[Tensor]:
        yield from self.module.parameters()
        yield from self.module.buffers()

    def _count(self, rows: Rows) -> None:
        with _COUNTING:
            self.counted += rows
            if self.watch and rows.forward:
                self.watch(self.counted.forward)

    def _forward(self, start: int, inputs: Tensor) -> Tensor:
        with computing(self.precision, inputs.device):
            logits = self._running()(self.clamped(inputs))
        if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(inputs):
            got = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ModelError(
                f"Model {self.name!r} must return logits [N, K] for inputs {list(inputs.shape)}; got {got}."
            )
        return self.accepted(logits.to(inputs.dtype))

    def _running(self) -> nn.Module | Network:
        if not self.faster:
            return self.module
        if self._network.module is not self.module:
            self._network = Network(self.module)
        return self._network

    def _shrink(self, rows: int) -> None:
        if rows == 1:
            raise ModelError(f"Model {self.name!r} runs out of memory on a single row on {self.device}.")
        self.chunk = min(self.chunk, rows // 2)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
