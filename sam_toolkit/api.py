"""Studies from Python: the engine of `sam-toolkit run`, with models and images as tensors where they are at hand."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sam_toolkit.component import Method, PairMetric
from sam_toolkit.errors import ComponentError
from sam_toolkit.images import Photo
from sam_toolkit.model import Model
from sam_toolkit.registry import Registry, default_registry
from sam_toolkit.study.execute import run_study
from sam_toolkit.study.resolve import load_study
from sam_toolkit.study.results import Results
from sam_toolkit.types import tensor_digest


def photos_of(images: Tensor, targets: Tensor | Sequence[int] | int | None = None) -> tuple[Photo, ...]:
    """Return images `[N, C, H, W]` as photographs of a study; without targets the predicted classes are explained."""
    if images.dim() != 4 or not images.is_floating_point():
        raise ComponentError(f"images must be floating point [N, C, H, W]; got {images.dtype} {list(images.shape)}.")
    labels: list[int | None] = [None] * len(images)
    if targets is not None:
        wanted = torch.as_tensor(targets).reshape(-1).tolist()
        labels = list(wanted * len(images) if len(wanted) == 1 else wanted)
    if len(labels) != len(images):
        raise ComponentError(f"targets must give one class an image: got {len(labels)} for {len(images)} images.")
    tensors = [image.detach().cpu().float().clone() for image in images]
    return tuple(
        Photo(f"image {number}", tensor, tensor_digest(tensor), label)
        for number, (tensor, label) in enumerate(zip(tensors, labels, strict=True))
    )


def run(
    study: str | Path | Mapping[str, Any],
    folder: str | Path,
    *,
    models: Mapping[str, nn.Module | Model] | None = None,
    images: Tensor | None = None,
    targets: Tensor | Sequence[int] | int | None = None,
    **options: Any,
) -> Results:
    """Run a study in the store at `folder` and return its results.

    Args:
        study: a YAML file, or what would stand in it as a mapping.
        folder: the store; what it has already is not computed again.
        models: modules by name, which the study's `models` may name; bare modules take images as they are.
        images: `[N, C, H, W]`, instead of the study's `images`.
        targets: one class an image; the predicted classes where absent.
        **options: `device`, `workers` and `progress` of `sam_toolkit.study.execute.run_study`; `registry`.

    Raises:
        SpecError: the study breaks a rule.
        ModelError, ImageError: a model or an image cannot be used.
    """
    registry: Registry = options.pop("registry", None) or default_registry()
    photos = None if images is None else photos_of(images, targets)
    return run_study(load_study(study, registry, models=models, photos=photos), Path(folder), **options)


def sensitivity(
    method: type[Method[Any]],
    vary: Mapping[str, Sequence[Any]],
    *,
    model: nn.Module | Model,
    images: Tensor,
    targets: Tensor | Sequence[int] | int | None = None,
    **options: Any,
) -> Results:
    """Return how far the maps of `method` move when each hyperparameter in `vary` moves.

    Args:
        method: the class, such as `SmoothGrad`.
        vary: field to the values it takes; one at a time around `default`.
        model: any classifier `[N, C, H, W] -> [N, K]`; a bare module takes the images as they are.
        images: `[N, C, H, W]`.
        targets: one class an image; the predicted classes where absent.
        **options: `default` (mapping of fields), `metrics` (names or classes), `seed`, `folder` (keeps the maps; a
            temporary folder otherwise), `device`, `workers`, `progress`.
    """
    entry = {
        **{name: list(values) for name, values in vary.items()},
        "default": dict(options.pop("default", {})),
    }
    study = {
        "title": f"sensitivity of {method.name}",
        "seed": options.pop("seed", 0),
        "models": ["model"],
        "methods": [{method.name: entry}],
        "compare": [{"along": "settings", "metrics": _names(options.pop("metrics", ("ssim", "spearman", "hog")))}],
    }
    registry = _registry_with(method)
    folder = options.pop("folder", None)
    common = {
        "models": {"model": model},
        "images": images,
        "targets": targets,
        "registry": registry,
        **options,
    }
    if folder is not None:
        return run(study, folder, **common)
    with tempfile.TemporaryDirectory() as temporary:
        return run(study, temporary, **common)


def _names(metrics: Sequence[str | type[PairMetric[Any]]]) -> list[str]:
    return [metric if isinstance(metric, str) else metric.name for metric in metrics]


def _registry_with(method: type[Method[Any]]) -> Registry:
    """Return the host, with `method` added where it is a class that no plugin registered."""
    registry = default_registry()
    if any(entry.component is method for entry in registry.entries(Method)):
        return registry
    return registry.extended(method)
