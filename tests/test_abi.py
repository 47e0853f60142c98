"""What the compiled libraries take from elsewhere and show to others: one build runs with many versions of PyTorch."""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARIES = sorted((ROOT / "sam_toolkit").glob("_*.abi3.so"))
OTHER = "SAM_TOOLKIT_OTHER_TORCH"
# The C library, C++ library and compiler runtime of manylinux_2_34, the oldest with what C++20's headers call.
OLDEST = {"GLIBC": (2, 34), "GLIBCXX": (3, 4, 29), "CXXABI": (1, 3, 13), "GCC": (11,)}
INTERFACE = re.compile(r"aoti_torch_\w+|torch_\w+")  # the C functions that PyTorch keeps stable
OF_THE_LINKER = {"_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable", "__gmon_start__", "__cxa_finalize"}
STANDARD = re.compile(r"_Z+(T[VIST])?(N[KVRO]*)?S[tabsiod]")  # mangled names of the C++ library
CALLS = """
import os, sys, torch
from sam_toolkit import ops

def calls(dtype):
    maps = torch.rand(1, 4, 20, 20, dtype=dtype, generator=torch.Generator().manual_seed(0))
    pairs, boxes = torch.combinations(torch.arange(4)), torch.tensor([[0, 1, 2, 6, 9], [0, 0, 0, 5, 7]])
    patches, windows = torch.zeros(2, 4, 5, 7, dtype=dtype), torch.tensor([[-1, 0], [0, 3]])
    varied = maps.clone().requires_grad_()
    ops.ssim(varied, pairs).sum().backward()
    yield "gradient of ssim", varied.grad
    yield "ssim", ops.ssim(maps, pairs)
    yield "ssim_map", ops.ssim_map(maps, pairs)
    yield "occlude", ops.occlude(maps, boxes, 0.5)
    yield "assemble", ops.assemble(maps, boxes, patches, windows, (9, 11))
    yield "occlusion_map", ops.occlusion_map(torch.rand(2, dtype=dtype), boxes, (1, 20, 20))

results = []
for mode in ("auto", "reference"):
    os.environ["SAM_TOOLKIT_OPS"] = mode
    torch.manual_seed(0)
    results.append([one for dtype in (torch.float32, torch.float64) for one in calls(dtype)])
for (name, ours), (_, plain) in zip(*results, strict=True):
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-6, msg=lambda text: f"{name}: {text}")
print(torch.__version__, [name for name, counts in ops.calls().items() if not counts["cpu"]])
"""


@pytest.fixture(params=LIBRARIES or [None], ids=lambda path: path.name if path else "none")
def library(request) -> Path:
    """Return each compiled library in turn."""
    if request.param is None:
        pytest.skip("no operators are built")
    if shutil.which("nm") is None:
        pytest.skip("there is no `nm`, which prints a library's symbols")
    path: Path = request.param
    return path


def symbols(library: Path, *which: str) -> Iterator[tuple[str, str]]:
    """Give name and version of a library's symbols; the version is empty where there is none."""
    command = ["nm", "--dynamic", *which, str(library)]
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        name, _, version = line.split()[-1].partition("@")
        yield name, version.strip("@")


def older(version: str) -> bool:
    """Return whether a version of a system library's symbol is at most that of the oldest system."""
    name, _, numbers = version.partition("_")
    return tuple(map(int, numbers.split("."))) <= OLDEST[name]


def test_the_libraries_keep_to_the_stable_interface_of_the_oldest_torch(library) -> None:
    if importlib.util.find_spec("torch_abi_audit") is None:
        pytest.skip("torch-abi-audit is not installed")
    command = [sys.executable, "-m", "torch_abi_audit.cli", "--check", "both", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    (oldest,) = set(re.findall(r"Min torch: +(\d+\.\d+)", done.stdout))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"torch>={oldest}" in project["dependencies"]


def test_the_libraries_need_nothing_else_of_torch(library) -> None:
    standard = ctypes.CDLL("libstdc++.so.6")
    without = [name for name, version in symbols(library, "--undefined-only") if not version]
    others = [name for name in without if not INTERFACE.fullmatch(name) and name not in OF_THE_LINKER]
    # PyTorch shows parts of its own C++ library, and references to them have no version: the system must have them too.
    assert not [name for name in others if not hasattr(standard, name)]


def test_the_libraries_need_no_newer_system_than_manylinux(library) -> None:
    versions = {version for _, version in symbols(library, "--undefined-only")}
    assert not [one for one in versions if one.partition("_")[0] in OLDEST and not older(one)]


def test_the_libraries_show_nothing_that_others_could_link_to(library) -> None:
    shown = {name for name, _ in symbols(library, "--defined-only")}
    # Compilers show what the C++ library says is to be shown, and functions in several versions for several CPUs.
    several = {name.removesuffix(".resolver") for name in shown if name.endswith(".resolver")}
    several |= {f"{name}.resolver" for name in several}
    assert not [name for name in shown - several if not STANDARD.match(name)]


def test_this_build_runs_on_another_version_of_torch() -> None:
    if not os.environ.get(OTHER):
        pytest.skip(f"{OTHER} names no interpreter with another version of PyTorch")
    if not LIBRARIES:
        pytest.skip("no operators are built")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [os.environ[OTHER], "-c", CALLS]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    version, _, plain = done.stdout.strip().partition(" ")
    assert plain == "[]"
    assert version != importlib.metadata.version("torch")
