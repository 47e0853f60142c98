"""Carries out a task in whatever process it was sent to: images in, a file of maps out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import torch

from sam_toolkit.bounding import Explained
from sam_toolkit.errors import ComponentError
from sam_toolkit.images import Photo
from sam_toolkit.model import Model, Rows
from sam_toolkit.rng import Rng
from sam_toolkit.study.changed_images import ChangedImages
from sam_toolkit.study.faults import blamed, check_shape, fault
from sam_toolkit.study.keys import beside_key
from sam_toolkit.study.map_files import write_maps
from sam_toolkit.study.prepare import open_model
from sam_toolkit.study.spec import Study
from sam_toolkit.study.task import MapFile, Outcome, Task, Tell
from sam_toolkit.study.untouched import Guard
from sam_toolkit.types import Batch


@dataclass(frozen=True)
class Job:
    """What every worker of a run needs; picklable.

    Attributes:
        photos: by model, the photographs with their targets as labels.
        folder: the store's folder.
    """

    study: Study
    photos: tuple[tuple[Photo, ...], ...]
    folder: Path
    device: str


class StudyWorker:
    """Carries out tasks of one job; opens each model once."""

    def __init__(self, job: Job, models: Sequence[Model] = ()) -> None:
        """Work on `job`; `models` are those that this process has open already."""
        self._job = job
        self._models = dict(enumerate(models))
        self._guard = Guard(job.study)

    def run(self, task: Task, tell: Tell) -> Outcome:
        """Return the outcome: a file of maps, or the error's text; `tell` is told the rows done so far."""
        started = time.perf_counter()
        try:
            model = self._model(task.model)
            batch = self._batch(task, model)
            before = model.counted
            who = f"Method {self._job.study.methods[task.method].method.name!r}"
            with self._guard.over(task.model, model, who), _watched(model, tell), blamed(who):
                found = self._explained(task, model, batch)
            file = self._write(task, model, found)
            rows = Rows(model.counted.forward - before.forward, model.counted.backward - before.backward)
        except Exception as error:  # noqa: BLE001 - whatever a component raises must not end the study
            return Outcome(task, "failed", error=fault(error), seconds=time.perf_counter() - started)
        return Outcome(task, "done", file, rows=rows, seconds=time.perf_counter() - started)

    def _model(self, index: int) -> Model:
        if index not in self._models:
            self._models[index] = open_model(self._job.study.models[index], self._job.study).to(self._job.device)
        return self._models[index]

    def _explained(self, task: Task, model: Model, batch: Batch) -> Explained:
        study = self._job.study
        method = study.methods[task.method].method(task.settings[0])
        found = method.explained(model, batch, task.settings, Rng(study.seed).child(method.name))
        maps = found.maps.detach().float().cpu()
        expected = (len(task.settings), len(batch), *batch.images.shape[-2:])
        check_shape(maps, expected, f"{method.name}: maps")
        if not bool(torch.isfinite(maps).all()):
            raise ComponentError(f"{method.name} returned maps with values that are not finite (NaN or infinite).")
        return Explained(maps, found.beside)

    def _batch(self, task: Task, model: Model) -> Batch:
        batch = model.batch([self._job.photos[task.model][image] for image in task.images])
        guard = partial(self._guard.over, task.model, model)
        return batch.with_images(ChangedImages(self._job.study, self._job.folder, guard).of(task.input, model, batch))

    def _write(self, task: Task, model: Model, found: Explained) -> MapFile:
        method = self._job.study.methods[task.method].method
        header = {
            "method": method.name,
            "version": method.version,
            "settings": json.dumps([json.loads(setting.canonical()) for setting in task.settings]),
            "seed": str(self._job.study.seed),
            "input": self._job.study.inputs[task.input].name,
            "model": model.fingerprint,
            "images": json.dumps([self._job.photos[task.model][image].digest for image in task.images]),
        }
        keys = [key for row in task.keys for key in row]
        beside = {
            beside_key(key, name): tensor
            for key, numbers in zip(keys, chain.from_iterable(found.beside), strict=bool(found.beside))
            for name, tensor in numbers.items()
        }
        return write_maps(self._job.folder, task.id, keys, found.maps.flatten(0, 1), header, beside)


@contextmanager
def _watched(model: Model, tell: Tell) -> Iterator[None]:
    before = model.counted.forward
    model.watch = lambda counted: tell(counted - before)
    try:
        yield
    finally:
        model.watch = None
