"""Everything that needs a GPU, at once: tests, compute-sanitizer and benchmarks; writes one folder of results."""

from __future__ import annotations

import argparse
import json
import os
import platform
import runpy
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import sam_toolkit
from sam_toolkit import ops

ROOT = Path(__file__).resolve().parents[1]
CHECKS = ("memcheck", "racecheck", "synccheck", "initcheck")
NO_GPU = 2
Command = tuple[str, ...]


def main(arguments: list[str] | None = None) -> int:
    """Run all steps; return 0 where each is well, 1 where one is not, and 2 where there is no GPU to run them on."""
    parser = argparse.ArgumentParser("gpu.py", description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "gpu", help="folder  [default: runs/gpu]")
    folder: Path = parser.parse_args(arguments).output
    reason = obstacle()
    if reason:
        print(f"Nothing was run: {reason}")
        return NO_GPU
    folder.mkdir(parents=True, exist_ok=True)
    results = {"machine": machine(), "steps": {name: run(name, command, folder) for name, command in steps(folder)}}
    (folder / "summary.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    bad = [name for name, step in results["steps"].items() if step["code"] != 0]
    print(f"Results are in {folder}. " + (f"Not well: {', '.join(bad)}." if bad else "All is well."))
    return 1 if bad else 0


def obstacle() -> str:
    """Return why nothing can run here, empty where it can."""
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} sees no GPU."
    cuda = ops.status()[1]
    return "" if cuda.loaded else f"the CUDA operators are not there: {cuda.reason}. {cuda.mend}"


def machine() -> dict[str, Any]:
    """Return what the results belong to."""
    device = torch.cuda.get_device_properties(0)
    return {
        "gpu": device.name,
        "capability": f"{device.major}.{device.minor}",
        "multiprocessors": device.multi_processor_count,
        "memory": device.total_memory,
        "driver": said("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "sam_toolkit": sam_toolkit.__version__,
        "commit": said("git", "describe", "--always", "--dirty"),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }


def steps(folder: Path) -> Iterator[tuple[str, Command]]:
    """Give the name and the command of every step; an empty command is one that cannot run here."""
    yield "tests", (sys.executable, "-m", "pytest", "tests/ops", "-k", "gpu", "-p", "no:cacheprovider")
    sanitizer = find_sanitizer()
    for check in CHECKS:
        # PyTorch's own kernels are not looked at, and each tensor gets memory of its own, with borders.
        options = ("--tool", check, "--kernel-name", "kernel_substring=sam_toolkit", "--error-exitcode", "1")
        calls = (sys.executable, "benchmarks/cuda_calls.py")
        yield check, (sanitizer, *options, *calls) if sanitizer else ()
    command = (sys.executable, "-c", "from sam_toolkit.cli import main; main()", "bench", "kernels")
    yield "benchmarks", (*command, "--device", "cuda", "--json", str(folder.resolve() / "benchmarks.json"))


def find_sanitizer() -> str:
    """Return compute-sanitizer from the path or the CUDA toolkit, empty where there is none."""
    toolkit = runpy.run_path(str(ROOT / "setup.py"), run_name="setup_py")["find_toolkit"]()
    places = [os.environ.get("PATH", os.defpath), *([str(toolkit / "bin")] if toolkit else [])]
    return shutil.which("compute-sanitizer", path=os.pathsep.join(places)) or ""


def run(name: str, command: Command, folder: Path) -> dict[str, Any]:
    """Run a step, keep what it prints, and return its exit code, null where it could not run."""
    if not command:
        print(f"{name}: not run, for there is no compute-sanitizer, neither on the path nor in the CUDA toolkit")
        return {"code": None, "command": "", "seconds": 0}
    print(f"{name} ...", flush=True)
    begun = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if name in CHECKS:
        environment["PYTORCH_NO_CUDA_MEMORY_CACHING"] = "1"
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    (folder / f"{name}.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    print(f"  {'well' if done.returncode == 0 else f'exit code {done.returncode}'}, see {name}.txt")
    return {"code": done.returncode, "command": " ".join(command), "seconds": round(time.monotonic() - begun, 1)}


def said(*command: str) -> str:
    """Return what a command prints, empty where it does not run."""
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


if __name__ == "__main__":
    raise SystemExit(main())
