"""The compiled operators: whether they loaded, why not, which one a call gets, and how often each ran."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sam_toolkit.errors import OpError, near
from sam_toolkit.ops import _autograd, reference

_FULL = (torch.float32, torch.float64)
_ALL = (*_FULL, torch.float16, torch.bfloat16)
_KERNELS: dict[str, dict[str, tuple[torch.dtype, ...]]] = {  # the dtypes that each knows
    "occlude": {"cpu": _ALL, "cuda": _ALL},
    "assemble": {"cpu": _ALL, "cuda": _ALL},
    "occlusion_map": {"cpu": _FULL, "cuda": _FULL},
    "ssim": {"cpu": _FULL, "cuda": _ALL},
    "ssim_map": {"cpu": _FULL, "cuda": _ALL},
    "descending_order": {"cpu": _FULL},
    "average_ranks": {"cpu": _FULL},
    "kendall": {"cpu": _FULL},
    "diverse_picks": {"cpu": (torch.int32,)},
    "reach": {"cpu": (torch.int32,)},
    "overlaps": {"cpu": (torch.int32,)},
}
_MODES = ("auto", "reference")
_PACKAGE = Path(__file__).parents[1]
_INSTALL = "run `pip install --no-build-isolation --no-deps .` in the source folder again."
_MEND = {
    "cpu": f"With a C++20 compiler, {_INSTALL}",
    "cuda": f"Only a GPU needs it: with a CUDA toolkit like torch's own and SAM_TOOLKIT_CUDA=1, {_INSTALL}",
}
_calls: Counter[tuple[str, str]] = Counter()


@dataclass(frozen=True)
class Backend:
    """One compiled library of operators; `reason` and `mend` are empty where it is loaded."""

    name: str
    loaded: bool
    path: Path | None
    reason: str = ""
    mend: str = ""


@cache
def status() -> tuple[Backend, ...]:
    """Load the compiled libraries, the first time, and return the state of each: CPU, then CUDA."""
    cpu = _load("cpu")
    if not cpu.loaded:
        reason = "the CPU library, which declares the operators, is not loaded"
        return cpu, Backend("cuda", False, None, reason, cpu.mend)
    return cpu, _load("cuda")


def _load(name: str) -> Backend:
    path = next(iter(sorted(_PACKAGE.glob(f"_{name}*.so"))), None)
    if path is None:
        return Backend(name, False, None, _why_missing(name), _MEND[name])
    try:
        torch.ops.load_library(path)
        if name == "cpu":
            _autograd.register()
    except (OSError, RuntimeError) as error:
        reason = f"{path.name} does not load: {str(error).splitlines()[0]}"
        return Backend(name, False, path, reason, _MEND[name])
    return Backend(name, True, path)


def _why_missing(name: str) -> str:
    """Return what the build wrote down about a library that is not there."""
    try:
        return "it was not built: " + str(json.loads((_PACKAGE / "_build.json").read_text())[name]["reason"])
    except (OSError, ValueError, LookupError):
        return f"it was not built: there is no _{name}*.so beside the package"


def call(op: str, values: Tensor, *rest: Any) -> Tensor:
    """Run an operator: the compiled kernel for the device and dtype of `values`, or else the reference."""
    chosen = _choose(op, values)
    _calls[op, chosen] += 1
    run = getattr(reference if chosen == "reference" else torch.ops.sam_toolkit, op)
    result: Tensor = run(values, *rest)
    return result


def _choose(op: str, values: Tensor) -> str:
    mode = os.environ.get("SAM_TOOLKIT_OPS", "auto")
    if mode not in _MODES:
        known = ", ".join(_MODES)
        raise OpError(f"SAM_TOOLKIT_OPS must be one of {known}; got {mode!r}.{near(mode, _MODES)}")
    device = values.device.type
    if mode == "reference" or values.dtype not in _KERNELS[op].get(device, ()):
        return "reference"
    return device if any(backend.loaded and backend.name == device for backend in status()) else "reference"


def calls() -> dict[str, dict[str, int]]:
    """Return how often each operator ran on each backend since `reset_calls`: `calls()["ssim"]["cpu"]`."""
    backends = {op: (*kernels, "reference") for op, kernels in _KERNELS.items()}
    return {op: {name: _calls[op, name] for name in names} for op, names in backends.items()}


def reset_calls() -> None:
    """Set every count of `calls` to zero."""
    _calls.clear()
