"""Changed images of a study: made once for every method that explains them, and kept beside the maps."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sam_toolkit.component import Perturbation, Perturbed
from sam_toolkit.errors import ComponentError, StoreError
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.study.durable import write_durably
from sam_toolkit.study.faults import blamed, check_shape
from sam_toolkit.study.grouping import groups
from sam_toolkit.study.keys import variant_text
from sam_toolkit.study.prepare import Subject
from sam_toolkit.study.results import InputSummary
from sam_toolkit.study.spec import InputUse, Study
from sam_toolkit.study.statistics import interval
from sam_toolkit.types import Batch, Params, digest

Address = tuple[str, str, int]
"""Model fingerprint, image digest, target class."""

_IMAGE = "image"


@dataclass(frozen=True)
class Beside:
    """What is kept beside a changed image: its perturbation's numbers, and its share of the network rows it took."""

    extras: Mapping[str, float]
    rows: float


def input_groups(study: Study) -> list[tuple[type[Perturbation[Any]], tuple[Params, ...]]]:
    """Return the perturbations of a study, each with settings that one call serves."""
    wanted: dict[type[Perturbation[Any]], list[Params]] = {}
    for use in study.inputs:
        if use.perturbation is not None and use.params is not None:
            wanted.setdefault(use.perturbation, []).append(use.params)
    return [(kind, group) for kind, settings in wanted.items() for group in groups(kind, settings)]


@dataclass(frozen=True)
class ChangedImages:
    """The changed images of a study, in the folder of its store.

    A file each, written in one step, so that any process may: what two write at once is the same. Images that take no
    network rows are made anew each time instead. `guard` holds the perturbation that it is told to leaving the network
    as it is.
    """

    study: Study
    folder: Path
    guard: Callable[[str], AbstractContextManager[object]] = nullcontext

    def of(self, variant: int, model: Model, batch: Batch) -> Tensor:
        """Return a batch's images `[N, C, H, W]` as an input variant has them; made together with the variant's kin."""
        use = self.study.inputs[variant]
        if use.perturbation is None or use.params is None:
            return batch.images
        kind, params = use.perturbation, use.params
        channels, height, width = batch.images.shape[1:]
        if not kind(params).rows([params], (channels, height, width)):
            return self._made(kind, (params,), model, batch).images[0]
        paths = [self._path(use, (model.fingerprint, *one)) for one in _subjects(batch)]
        missing = [image for image, path in enumerate(paths) if not _is_whole(path)]
        if missing:
            self._make(use, model, batch.select(missing))
        return torch.stack([_read(path) for path in paths]).to(batch.images)

    def beside(self, use: InputUse, address: Address) -> Beside | None:
        """Return what is kept beside the changed image; None where there is none, or nothing is kept."""
        try:
            with safe_open(self._path(use, address), "pt") as file:
                told = json.loads(file.metadata()["beside"])
        except (OSError, SafetensorError):
            return None
        return Beside({name: math.nan if x is None else x for name, x in told["extras"].items()}, told["rows"])

    def _path(self, use: InputUse, address: Address) -> Path:
        key = digest("input", variant_text(use), str(self.study.seed), *map(str, address))
        return self.folder / "inputs" / key[:2] / f"{key}.safetensors"

    def _make(self, use: InputUse, model: Model, batch: Batch) -> None:
        """Write the images of the variant and of those that share its computation."""
        kind, group = next(
            (kind, group)
            for kind, group in input_groups(self.study)
            if kind is use.perturbation and use.params in group
        )
        before = model.counted.forward
        found = self._made(kind, group, model, batch)
        share = (model.counted.forward - before) / (len(group) * len(batch))
        for place, params in enumerate(group):
            for image, one in enumerate(_subjects(batch)):
                extras = {name: float(values[place, image]) for name, values in found.extras.items()}
                told = {"extras": {name: None if math.isnan(x) else x for name, x in extras.items()}, "rows": share}
                path = self._path(InputUse("", kind, params), (model.fingerprint, *one))
                content = {_IMAGE: found.images[place, image].cpu().contiguous()}
                _write(path, save(content, {"input": use.name, "beside": json.dumps(told)}))

    def _made(self, kind: type[Perturbation[Any]], group: tuple[Params, ...], model: Model, batch: Batch) -> Perturbed:
        """Return changed images; raises ComponentError where the perturbation returns what it must not."""
        who = f"Perturbation {kind.name!r}"
        with self.guard(who), blamed(who):
            found = kind(group[0]).perturbed(model, batch, group, Rng(self.study.seed).child(kind.name))
        images, expected = found.images.detach().float(), (len(group), *batch.images.shape)
        check_shape(images, expected, f"{kind.name}: images")
        if not bool(torch.isfinite(images).all()):
            raise ComponentError(f"{kind.name} returned images with values that are not finite (NaN or infinite).")
        return Perturbed(images, found.extras)


def input_summaries(study: Study, subjects: tuple[Subject, ...], folder: Path) -> Iterator[InputSummary]:
    """Yield what is kept beside the changed images of each model and input variant, over images."""
    kept = ChangedImages(study, folder)
    for subject in subjects:
        photos = [photo.name for photo in subject.photos]
        for use in study.inputs[1:]:
            beside = [kept.beside(use, subject.address(image)) for image in range(len(photos))]
            for says in dict.fromkeys(name for one in beside if one for name in one.extras):
                values = np.array([one.extras.get(says, np.nan) if one else np.nan for one in beside])
                found = {
                    name: value for name, value in zip(photos, values.tolist(), strict=True) if not math.isnan(value)
                }
                yield InputSummary(subject.name, use.name, says, interval(values, study.seed), found)


def changing_rows(study: Study, subjects: tuple[Subject, ...], folder: Path) -> int:
    """Return the network rows that the changed images of a study took."""
    kept = ChangedImages(study, folder)
    beside = (
        kept.beside(use, subject.address(image))
        for subject in subjects
        for use in study.inputs[1:]
        for image in range(len(subject.photos))
    )
    return round(sum(one.rows for one in beside if one))


def _subjects(batch: Batch) -> Iterator[tuple[str, int]]:
    yield from zip(batch.ids, batch.targets.tolist(), strict=True)


def _is_whole(path: Path) -> bool:
    """Return whether the file can be read; one that is damaged is written again."""
    try:
        _read(path)
    except (OSError, SafetensorError):
        return False
    return True


def _read(path: Path) -> Tensor:
    with safe_open(path, "pt") as file:
        image: Tensor = file.get_tensor(_IMAGE)
    return image


def _write(path: Path, data: bytes) -> None:
    try:
        write_durably(path, data)
    except OSError as error:
        raise StoreError(f"A changed image cannot be written to {path}: {error.strerror}.") from error
