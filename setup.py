"""Builds the compiled operators; everything else about the package is in pyproject.toml.

SAM_TOOLKIT_BUILD: `auto` (default: works in plain PyTorch where compiling fails), `require`, `skip`.
SAM_TOOLKIT_CUDA: `auto` (default: built where a CUDA toolkit like PyTorch's is found), `1`, `0`.
TORCH_CUDA_ARCH_LIST: the GPUs to compile for; by default all in a wheel, and in place two, as each takes its time.
What was built, and else the reason, goes to `sam_toolkit/_build.json`, which `sam-toolkit doctor` shows.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from setuptools import Distribution, Extension, setup
from setuptools.command.build_ext import build_ext

PACKAGE = "sam_toolkit"
FLAGS = ["-std=c++20", "-O3", "-DTORCH_TARGET_VERSION=0x020a000000000000"]
HOST_FLAGS = ["-g0", "-fvisibility=hidden"]  # operators register themselves; nothing is for others to link to
# Compute capabilities to compile for; what is newer than the last compiles that one's PTX when it first runs.
GPUS = ("7.5", "8.0", "8.6", "9.0", "10.0", "12.0")
GPUS_IN_PLACE = ("8.0", "9.0")
NO_TORCH = (
    "sam_toolkit compiles its operators against the PyTorch that it will run with, and here is none: "
    "install torch, then run `pip install --no-build-isolation .`, or set SAM_TOOLKIT_BUILD=skip."
)


class NotBuiltError(Exception):
    """Says why a library is left out; `expected` where nobody asked for it."""

    def __init__(self, reason: str, expected: bool = False) -> None:
        super().__init__(reason)
        self.expected = expected


class BuildOperators(build_ext):
    """Compiles each library by itself: one that fails leaves the other, and the package, in working order."""

    def run(self) -> None:
        """Compile what the two variables ask for, and write down what became of each library."""
        build = chosen("SAM_TOOLKIT_BUILD", "auto", "require", "skip")
        if build != "skip" and importlib.util.find_spec("torch") is None:
            raise SystemExit(NO_TORCH)
        os.environ.setdefault("MAX_JOBS", "2")
        toolkit = find_toolkit()
        if toolkit is not None:  # before PyTorch reads it
            os.environ["CUDA_HOME"] = str(toolkit)
        report = {_short(extension): self._attempt(extension, build) for extension in self.extensions}
        self.extensions = [extension for extension in self.extensions if report[_short(extension)]["built"]]
        if self.inplace:
            self.copy_extensions_to_source()
        folder = Path(PACKAGE) if self.inplace else Path(self.build_lib, PACKAGE)
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**report, "torch": None if build == "skip" else torch_version()}, indent=1)
        (folder / "_build.json").write_text(text + "\n", encoding="utf-8")

    def _attempt(self, extension: Extension, build: str) -> dict[str, Any]:
        self._remove_stale(extension)
        try:
            if build == "skip":
                raise NotBuiltError("SAM_TOOLKIT_BUILD=skip was set", expected=True)
            gpus = GPUS_IN_PLACE if self.inplace else GPUS
            self._compile(make_cpu(extension) if extension.name.endswith("_cpu") else make_cuda(extension, gpus))
        except NotBuiltError as error:
            if not error.expected:
                self._complain(extension, error, build)
            return {"built": False, "reason": str(error)}
        return {"built": True, "reason": ""}

    def _remove_stale(self, extension: Extension) -> None:
        folders = [Path(self.build_lib, PACKAGE), *([Path(PACKAGE)] if self.inplace else [])]
        for stale in (path for folder in folders for path in folder.glob(f"{extension.name.rpartition('.')[2]}.*so")):
            stale.unlink()

    def _compile(self, extension: Extension) -> None:
        from torch.utils.cpp_extension import BuildExtension

        command = BuildExtension(Distribution({"name": PACKAGE, "ext_modules": [extension]}))
        command.build_lib, command.build_temp = self.build_lib, str(Path(self.build_temp, _short(extension)))
        command.ensure_finalized()
        try:
            command.run()
        except Exception as error:
            advice = "`SAM_TOOLKIT_BUILD=require pip install -v ...` shows the compiler's own words"
            raise NotBuiltError(f"compiling failed ({type(error).__name__}: {error}); {advice}") from error

    def _complain(self, extension: Extension, error: NotBuiltError, build: str) -> None:
        if build == "require" or (_short(extension) == "cuda" and os.environ.get("SAM_TOOLKIT_CUDA") == "1"):
            raise SystemExit(f"The {_short(extension)} operators were asked for and are not built: {error}.") from error
        self.warn(f"the {_short(extension)} operators are not built: {error}. The package works without, slower.")


def chosen(variable: str, *known: str) -> str:
    """Return the value of an environment variable, the first of `known` by default; ends on any other."""
    value = os.environ.get(variable, known[0])
    if value not in known:
        raise SystemExit(f"{variable} must be one of {', '.join(known)}; got {value!r}.")
    return value


def torch_version() -> str:
    """Return the version of the PyTorch that is compiled against."""
    import torch

    return str(torch.__version__)


def make_cpu(plain: Extension) -> Extension:
    """Return the CPU library with PyTorch's paths; raises NotBuiltError without a compiler."""
    from torch.utils.cpp_extension import CppExtension, get_cxx_compiler

    compiler = shlex.split(get_cxx_compiler())[0]
    if shutil.which(compiler) is None:
        raise NotBuiltError(f"there is no C++ compiler {compiler!r} on the path; CXX names another")
    flags = [*FLAGS, *HOST_FLAGS]
    made: Extension = CppExtension(plain.name, plain.sources, py_limited_api=True, extra_compile_args=flags)
    return made


def make_cuda(plain: Extension, gpus: Sequence[str]) -> Extension:
    """Return the CUDA library with PyTorch's paths; raises NotBuiltError where it is not to be built."""
    wanted = chosen("SAM_TOOLKIT_CUDA", "auto", "0", "1")
    if wanted == "0":
        raise NotBuiltError("SAM_TOOLKIT_CUDA=0 was set", expected=True)
    check_toolkit(expected=wanted == "auto")
    if not os.environ.get("TORCH_CUDA_ARCH_LIST"):  # PyTorch would ask the GPU, which the machine need not have
        os.environ["TORCH_CUDA_ARCH_LIST"] = arch_list(gpus)
    from torch.utils.cpp_extension import CUDAExtension

    flags = [*FLAGS, "-DUSE_CUDA"]
    by_compiler = {"cxx": [*flags, *HOST_FLAGS], "nvcc": [*flags, "-Xcompiler=-fvisibility=hidden"]}
    made: Extension = CUDAExtension(plain.name, plain.sources, py_limited_api=True, extra_compile_args=by_compiler)
    return made


def arch_list(gpus: Sequence[str]) -> str:
    """Return those capabilities that the toolkit compiles for, as PyTorch reads them; raises NotBuiltError."""
    nvcc = Path(find_toolkit() or "", "bin", "nvcc")
    try:
        said = subprocess.run([nvcc, "--list-gpu-arch"], capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotBuiltError(f"nvcc does not say which GPUs it compiles for: {error}") from error
    known = [gpu for gpu in gpus if f"compute_{gpu.replace('.', '')}" in said]
    if not known:
        raise NotBuiltError(f"{nvcc} compiles for none of {', '.join(gpus)}, but for {', '.join(said)}")
    return ";".join(known) + "+PTX"


def check_toolkit(expected: bool) -> None:
    """Raise NotBuiltError unless there is a CUDA toolkit of PyTorch's major version."""
    import torch

    if torch.version.cuda is None:
        raise NotBuiltError(f"torch {torch.__version__} is a build without CUDA", expected)
    root = find_toolkit()
    if root is None:
        raise NotBuiltError(
            "no CUDA toolkit (cuda_runtime.h, libcudart, nvcc) was found; CUDA_HOME names one", expected
        )
    header = (root / "include" / "cuda_runtime_api.h").read_text(encoding="utf-8", errors="replace")
    version = re.search(r"#define\s+CUDART_VERSION\s+(\d+)\d{3}", header)
    if version is None or version[1] != torch.version.cuda.partition(".")[0]:
        found = version[1] if version else "unknown"
        raise NotBuiltError(f"the CUDA toolkit in {root} is version {found}, torch's is {torch.version.cuda}", expected)


def find_toolkit() -> Path | None:
    """Return the first real CUDA toolkit: `nvcc` on the path may be a wrapper that stands elsewhere."""
    nvcc = shutil.which("nvcc")
    places = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    roots = [Path(place) for place in places if place] + ([Path(nvcc).resolve().parents[1]] if nvcc else [])
    return next((root for root in roots if is_toolkit(root)), None)


def is_toolkit(root: Path) -> bool:
    """Return whether a folder holds what compiling and linking need."""
    files = ("include/cuda_runtime.h", "include/cuda_runtime_api.h", "bin/nvcc")
    runtime = any(any((root / folder).glob("libcudart.so*")) for folder in ("lib64", "lib"))
    return runtime and all((root / file).is_file() for file in files)


def _short(extension: Extension) -> str:
    return extension.name.rpartition("_")[2]


def _library(name: str, *patterns: str) -> Extension:
    root = Path(__file__).parent
    sources = sorted(path.relative_to(root).as_posix() for pattern in patterns for path in root.glob(pattern))
    return Extension(f"{PACKAGE}._{name}", sources, py_limited_api=True)


if __name__ == "__main__":
    setup(
        ext_modules=[
            _library("cpu", "csrc/library.cpp", "csrc/cpu/*.cpp"),
            _library("cuda", "csrc/cuda/*.cpp", "csrc/cuda/*.cu"),
        ],
        cmdclass={"build_ext": BuildOperators},
        options={"bdist_wheel": {"py_limited_api": "cp311"}},
    )
