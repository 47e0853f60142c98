"""What made a result: versions, seed, device, models, plugins."""

from __future__ import annotations

import importlib.metadata
import platform

import torch

from sam_toolkit import ops
from sam_toolkit.study.prepare import Subject
from sam_toolkit.study.spec import Study


def provenance(study: Study, subjects: tuple[Subject, ...], device: str) -> dict[str, str]:
    """Return what made the results of a study, in the order in which a report shows it."""
    accelerator = f" ({torch.cuda.get_device_name(device)})" if device.startswith("cuda") else ""
    components = {use.method for use in study.methods} | {use.metric for item in study.compare for use in item.metrics}
    strangers = sorted({component.__module__.split(".")[0] for component in components} - {"sam_toolkit"})
    return {
        "sam_toolkit": importlib.metadata.version("sam-toolkit"),
        "seed": str(study.seed),
        "device": f"{device}{accelerator}, {torch.get_num_threads()} threads",
        "compiled operators": ", ".join(status.name for status in ops.status() if status.loaded) or "none",
        **{f"model {subject.name}": f"fingerprint {subject.model.fingerprint}" for subject in subjects},
        **{f"plugin {name}": _version(name) for name in strangers},
        "python": platform.python_version(),
        **{name: _version(name) for name in ("torch", "torchvision", "numpy", "scipy", "scikit-image", "pillow")},
        "system": f"{platform.system()} {platform.machine()}",
    }


def _version(name: str) -> str:
    found = importlib.metadata.packages_distributions().get(name, [name])
    try:
        return importlib.metadata.version(found[0])
    except importlib.metadata.PackageNotFoundError:
        return "not packaged"
