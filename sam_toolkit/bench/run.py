"""Runs all cases of a benchmark in this process, and says on what."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import torch

from sam_toolkit import __version__, allocator, ops
from sam_toolkit.bench import lens, occlusion, similarities, ssim
from sam_toolkit.bench.records import CaseResult, Report
from sam_toolkit.bench.settings import Settings
from sam_toolkit.bench.timing import Stopwatch
from sam_toolkit.errors import BenchError

_PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "scikit-image",
    "torchmetrics",
    "pytorch-msssim",
    "piq",
    "kornia",
    "fused-ssim",
    "captum",
    "lime",
)
_IDLE = 0.25  # of the cores, on average over a minute
_FAMILIES = {"ssim": ssim.cases, "occlusion": occlusion.cases, "lens": lens.cases, "similarity": similarities.cases}


def run(settings: Settings, show: Callable[[CaseResult], None], stopwatch: Stopwatch | None = None) -> Report:
    """Measure every case, show each when it is done, and return all.

    Raises:
        BenchError: where the device or its compiled operators are not there.
    """
    facts = machine(settings.device)
    watch = stopwatch or Stopwatch(torch.cuda.synchronize if _is_gpu(settings.device) else lambda: None)
    results = []
    for threads in settings.threads:
        with _threads(threads) as number, torch.inference_mode():
            for case in chain.from_iterable(_FAMILIES[name](settings, number, watch) for name in settings.operators):
                results.append(case.measure(settings.rounds, watch))
                show(results[-1])
    return Report(
        machine=facts,
        versions=versions(),
        settings=settings.as_json(),
        cases=tuple(results),
    )


def _is_gpu(device: str) -> bool:
    return device.startswith("cuda")


@contextmanager
def _threads(wanted: int) -> Iterator[int]:
    """Let PyTorch use so many threads, or for 0 as many as it does, and leave it as it was."""
    usual = torch.get_num_threads()
    torch.set_num_threads(wanted or usual)
    try:
        yield wanted or usual
    finally:
        torch.set_num_threads(usual)


def machine(device: str) -> dict[str, str]:
    """Return what the times belong to.

    Raises:
        BenchError: where the device or its compiled operators are not there.
    """
    if _is_gpu(device) and not torch.cuda.is_available():
        raise BenchError(f"bench: --device {device} needs a GPU that PyTorch sees; it sees none.")
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "device": torch.cuda.get_device_name(device) if _is_gpu(device) else "CPU",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "operators": _operators(device),
        "allocator": "keeps large buffers" if allocator.keeps_buffers() else "gives large buffers back",
    }


def caution() -> str:
    """Return a warning where others use the processor: threads that wait for each other then take long."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    busy = f"Other processes keep {load:.1f} of {cores} cores busy: times will be long, those of several threads most."
    return busy if load > _IDLE * cores else ""


def _operators(device: str) -> str:
    if os.environ.get("SAM_TOOLKIT_OPS") == "reference":
        return "reference"
    backend = ops.status()[_is_gpu(device)]
    if not backend.loaded:
        advice = f"{backend.mend} Or set SAM_TOOLKIT_OPS=reference, to measure the plain PyTorch that stands in."
        raise BenchError(f"bench: the compiled {backend.name} operators are not there: {backend.reason}. {advice}")
    return f"compiled, {backend.name}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def versions() -> dict[str, str]:
    """Return the version of Python, of sam_toolkit and of each package that takes part."""
    found = {"python": platform.python_version(), "sam_toolkit": __version__}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
