"""What made a result: versions, seed, device, models, plugins."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import torch

from sam_toolkit import ops
from sam_toolkit.component import Component
from sam_toolkit.study.prepare import Subject
from sam_toolkit.study.spec import Study


def provenance(study: Study, subjects: tuple[Subject, ...], device: str) -> dict[str, str]:
    """Return what made the results of a study, in the order in which a report shows it."""
    accelerator = f" ({torch.cuda.get_device_name(device)})" if device.startswith("cuda") else ""
    strangers = {component.__module__.split(".")[0] for component in _components(study)} - {"sam_toolkit"}
    return {
        "sam_toolkit": importlib.metadata.version("sam-toolkit"),
        "seed": str(study.seed),
        "device": f"{device}{accelerator}, {torch.get_num_threads()} threads",
        "compiled operators": ", ".join(status.name for status in ops.status() if status.loaded) or "none",
        **{
            f"model {subject.name}": f"fingerprint {subject.model.fingerprint}, run {subject.how}"
            for subject in subjects
        },
        **{f"plugin {name}": version for name, version in sorted(map(_distribution, strangers))},
        "python": platform.python_version(),
        **{name: _version(name) for name in ("torch", "torchvision", "numpy", "scipy", "scikit-image", "pillow")},
        "system": f"{platform.system()} {platform.machine()}",
    }


def _components(study: Study) -> Iterator[type[Component[Any]]]:
    """Give the classes of what a study is made of."""
    yield from (use.method for use in study.methods)
    yield from (use.metric for item in study.compare for use in item.metrics)
    yield from (use.metric for use in study.accuracy)
    yield from (use.perturbation for use in study.inputs if use.perturbation)
    given = (study.images.source, *(part for use in study.models for part in (use.source, use.perturbation)))
    yield from (type(part) for part in given if isinstance(part, Component))


def _version(name: str) -> str:
    return _distribution(name)[1]


def _distribution(name: str) -> tuple[str, str]:
    """Return name and version of the distribution of that name, or else of that which an import of it leads to."""
    for candidate in _candidates(name):
        with suppress(importlib.metadata.PackageNotFoundError):
            found = importlib.metadata.distribution(candidate)
            return found.name, found.version
    return name, "not packaged"


def _candidates(name: str) -> Iterator[str]:
    yield name
    yield from _distributions().get(name, [])[:1]


@cache
def _distributions() -> Mapping[str, list[str]]:
    """Return the distributions of each importable package; it reads the list of files of all that is installed."""
    return importlib.metadata.packages_distributions()
