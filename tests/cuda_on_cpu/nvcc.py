"""The CUDA compiler and its tools, where there are any: kernel files to PTX and to machine code, kept under build/."""

from __future__ import annotations

import hashlib
import os
import re
import runpy
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "csrc"
KEPT = ROOT / "build" / "cuda_on_cpu"
# What PyTorch adds to setup.py's flags: they decide which arithmetic of half-precision values there is.
AS_PYTORCH = (
    "-D__CUDA_NO_HALF_OPERATORS__",
    "-D__CUDA_NO_HALF_CONVERSIONS__",
    "-D__CUDA_NO_BFLOAT16_CONVERSIONS__",
    "-D__CUDA_NO_HALF2_OPERATORS__",
    "--expt-relaxed-constexpr",
)


@dataclass(frozen=True)
class Compiled:
    """What the compiler wrote, and what it said meanwhile."""

    path: Path
    log: str


@cache
def toolkit() -> Path | None:
    """Return the folder of the CUDA toolkit that setup.py compiles with."""
    root: Path | None = runpy.run_path(str(ROOT / "setup.py"), run_name="setup_py")["find_toolkit"]()
    return root


@cache
def version() -> str:
    """Return the compiler's version, as `13.0`."""
    root = toolkit()
    found = re.search(r"release (\d+\.\d+)", _output([str(root / "bin" / "nvcc"), "--version"])) if root else None
    return found[1] if found else ""


@cache
def disassembler() -> Path | None:
    """Return nvdisasm of the toolkit, or else the one that Triton brings."""
    root, triton = toolkit(), find_spec("triton")
    folders = [root / "bin"] if root else []
    if triton is not None and triton.origin is not None:
        folders.append(Path(triton.origin).parent / "backends" / "nvidia" / "bin")
    return next((folder / "nvdisasm" for folder in folders if (folder / "nvdisasm").is_file()), None)


def ptx(source: Path, *flags: str, arch: str = "sm_80") -> str:
    """Return the PTX of a kernel file with its lines in the source."""
    return _compile(source, ("-ptx", "-lineinfo", f"-arch={arch}", *flags)).path.read_text(encoding="utf-8")


def cubin(source: Path, arch: str) -> Compiled:
    """Return the machine code of a kernel file; the log holds the registers and bytes of each kernel."""
    return _compile(source, ("-cubin", f"-arch={arch}", "-Xptxas=-v"))


def disassembly(source: Path, arch: str) -> str:
    """Return the machine code of a kernel file as text."""
    program = disassembler()
    if program is None:
        raise FileNotFoundError("there is no nvdisasm, neither in the CUDA toolkit nor in triton")
    return _output([str(program), "-c", str(cubin(source, arch).path)])


def host_library(source: Path) -> Path:
    """Return a library of C++ that needs the toolkit's headers and no GPU."""
    return _compile(source, ("-shared", "-fPIC")).path


def readable(names: list[str]) -> dict[str, str]:
    """Return for mangled names of kernels what people call them: `occlude_kernel<float>`."""
    lines = _output(["c++filt", *names]).splitlines() if names else []
    return {name: _short(line) for name, line in zip(names, lines, strict=True)}


def _short(signature: str) -> str:
    plain = re.sub(r"\((?:anonymous namespace|int|bool|long|unsigned int)\)(?:::)?", "", signature)
    plain = re.sub(r"\b\w+::", "", plain.removeprefix("void "))
    return plain.partition("(")[0]


def _compile(source: Path, flags: tuple[str, ...]) -> Compiled:
    made = _kept(source, flags)
    log = made.with_suffix(".log")
    if not made.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        draft = made.with_suffix(f".{os.getpid()}")  # several workers of a test run may compile the same
        log.write_text(_output([*_command(flags), str(source), "-o", str(draft)]), encoding="utf-8")
        draft.replace(made)
    return Compiled(made, log.read_text(encoding="utf-8"))


def _kept(source: Path, flags: tuple[str, ...]) -> Path:
    """Return where the result is kept: a name from all that goes into it."""
    headers = [path for path in SOURCES.rglob("*") if path.suffix in {".h", ".cuh"}]
    command = _command(flags)
    compiler = Path(shutil.which(command[0]) or "").stat()
    digest = hashlib.sha256(f"{command} {compiler.st_size} {compiler.st_mtime}".encode())
    for file in (source, *sorted({*headers, *source.parent.glob("*.h")})):
        digest.update(file.read_bytes())
    return KEPT / f"{source.stem}-{digest.hexdigest()[:16]}{flags[0].replace('-', '.')}"


@cache
def _command(flags: tuple[str, ...]) -> tuple[str, ...]:
    root = toolkit()
    if root is None or shutil.which("g++") is None:
        raise FileNotFoundError("there is no CUDA toolkit, or no g++ for it")
    if "-shared" in flags:
        return ("g++", "-std=c++20", f"-I{root / 'include'}", *flags)
    ours = runpy.run_path(str(ROOT / "setup.py"), run_name="setup_py")["FLAGS"]
    return (str(root / "bin" / "nvcc"), *ours, *AS_PYTORCH, "-DUSE_CUDA", f"-I{SOURCES / 'cuda'}", *flags)


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr
