"""Runs the kernels of csrc/cuda on the CPU: g++ compiles the same .cu files against `simulator/`.

To add a kernel:

1. Write `faces/NAME.cpp`: include the .cu file and "face.h", and give Python each launcher that it shall call, by
   `CUDA_ON_CPU_FACE(name_float, launcher<float>)`. A launcher takes pointers and numbers and returns cudaError_t;
   where the real one takes a struct or a stream, write a small function around it. nvcc compiles none of this.
2. Write `test_NAME_kernel.py`: with the fixture `simulator` (every build) or `plain` (the fastest one),
   `(out,) = simulator.call("NAME", "name_float", images, boxes, 3, Out((3, 8, 8)), order="descending")`.
   NumPy arrays are inputs, what is written into each `Out` comes back in a list; `order` is one of `ORDERS`.
3. That is all. Compare with an oracle from outside. What the simulator or a sanitizer finds is raised as KernelError.

float16 is NumPy's; bfloat16 crosses as uint16, by `to_bfloat16` and `from_bfloat16`.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from cuda_on_cpu.worker import Out

__all__ = ["BUILDS", "ORDERS", "KernelError", "Out", "Simulator", "from_bfloat16", "obstacle", "to_bfloat16"]

FOLDER = Path(__file__).parent
SIMULATOR = FOLDER / "simulator"
RUNTIME = (SIMULATOR / "fibres.cpp", SIMULATOR / "meetings.cpp", SIMULATOR / "scheduler.cpp")
COMMON = ("-std=c++20", "-g", "-fPIC", "-shared", "-Wall", "-Wno-unknown-pragmas", f"-I{SIMULATOR}")
ORDERS: tuple[str | int, ...] = ("ascending", "descending", 0)


class Build(NamedTuple):
    """How kernels are compiled, and the library of a sanitizer that must be there before all others."""

    flags: tuple[str, ...]
    preload: str = ""
    environment: tuple[tuple[str, str], ...] = ()


BUILDS = {
    "plain": Build(("-O2",)),
    "address": Build(
        ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"),
        "libasan.so",
        (("ASAN_OPTIONS", "detect_leaks=0"), ("UBSAN_OPTIONS", "print_stacktrace=1")),
    ),
    "thread": Build(("-O1", "-fsanitize=thread"), "libtsan.so", (("TSAN_OPTIONS", "halt_on_error=1"),)),
}


class KernelError(Exception):
    """What the simulator, a sanitizer or the operating system has against a call."""


class Simulator:
    """Calls the kernels of one build, in a process that is started when it is needed and again after a crash."""

    def __init__(self, build: str, cache: Path) -> None:
        self.name = build
        self.build = BUILDS[build]
        self.cache = cache
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    def call(self, face: str, function: str, *arguments: Any, order: str | int = "ascending") -> list[np.ndarray]:
        """Return what the kernels wrote into each `Out`; raises KernelError."""
        library = self._compiled(FOLDER / "faces" / f"{face}.cpp")
        process = self._start() if self._process is None else self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            pickle.dump((str(library), function, arguments, order), process.stdin)
            process.stdin.flush()
            failure, outputs = pickle.load(process.stdout)
        except (BrokenPipeError, EOFError):
            raise KernelError(self._last_words()) from None
        if failure:
            raise KernelError(failure)
        return list(outputs)

    def close(self) -> None:
        """End the process."""
        if self._process is not None and self._errors is not None:
            self._process.kill()
            self._process.communicate()
            self._errors.close()
            self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        runtime = compiled("runtime", RUNTIME, ("-O2", "-fvisibility=hidden", "-Wl,-Bsymbolic"), self.cache)
        preload = {"LD_PRELOAD": found(self.build.preload)} if self.build.preload else {}
        border = "0" if self.name == "address" else "256"
        code = "from cuda_on_cpu.worker import main; main()"
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._process = subprocess.Popen(
            [*less_random(self.build), sys.executable, "-c", code, str(runtime), border],
            env={
                **os.environ,
                "PYTHONPATH": str(FOLDER.parent),
                "OPENBLAS_NUM_THREADS": "1",
                **preload,
                **dict(self.build.environment),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        return self._process

    def _compiled(self, face: Path) -> Path:
        return compiled(f"{face.stem}-{self.name}", (face,), self.build.flags, self.cache)

    def _last_words(self) -> str:
        assert self._process is not None
        assert self._errors is not None
        code = self._process.wait()
        self._errors.seek(0)
        words = self._errors.read().decode(errors="replace")
        self.close()
        return f"the process ended with {code}\n{words}"


def compiled(name: str, sources: tuple[Path, ...], flags: tuple[str, ...], cache: Path) -> Path:
    """Return a library, compiled unless these sources and flags were before; raises KernelError."""
    command = [*compiler(), *COMMON, *flags]
    contents = [path.read_bytes() for path in sorted({part for source in sources for part in included(source)})]
    digest = hashlib.sha256(b"\0".join([*map(str.encode, command), version(), *contents])).hexdigest()[:16]
    library = cache / f"{name}-{digest}.so"
    if not library.exists():
        fresh = library.with_suffix(f".{os.getpid()}")
        done = subprocess.run([*command, "-o", fresh, *sources], capture_output=True, text=True, check=False)
        if done.returncode:
            raise KernelError(f"{name} does not compile:\n{done.stderr}")
        for stale in cache.glob(f"{name}-*.so"):
            stale.unlink(missing_ok=True)
        fresh.rename(library)
    return library


def included(source: Path) -> Iterator[Path]:
    """Give a source and all that it includes by quotes, or from the simulator."""
    seen = {source}
    waiting = [source]
    while waiting:
        path = waiting.pop()
        yield path
        for name in re.findall(r'^\s*#include\s+["<](.+?)[">]', path.read_text(encoding="utf-8"), re.MULTILINE):
            places = [(folder / name).resolve() for folder in (path.parent, SIMULATOR)]
            new = {place for place in places if place.is_file()} - seen
            seen |= new
            waiting += new


def compiler() -> list[str]:
    """Return the command of the C++ compiler."""
    return shlex.split(os.environ.get("CXX", "g++"))


@cache
def version() -> bytes:
    """Return what the compiler says of itself."""
    return subprocess.run([*compiler(), "--version"], capture_output=True, check=True).stdout


@cache
def found(library: str) -> str:
    """Return the path of one of the compiler's libraries, or the name alone where it has none."""
    command = [*compiler(), f"-print-file-name={library}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def less_random(build: Build) -> list[str]:
    """Return a command to start with: the thread sanitizer of g++ 12 cannot have addresses of 32 random bits."""
    bits = Path("/proc/sys/vm/mmap_rnd_bits")
    wide = build.preload == "libtsan.so" and bits.exists() and int(bits.read_text()) > 28
    return ["setarch", "-R"] if wide and shutil.which("setarch") else []


def obstacle(build: str) -> str:
    """Return why kernels of a build cannot run here, or an empty text."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return f"the simulator switches stacks on Linux on x86-64 only; this is {sys.platform} on {platform.machine()}"
    if shutil.which(compiler()[0]) is None:
        return f"there is no C++ compiler {compiler()[0]!r} on the path; CXX names another"
    if b"Free Software Foundation" not in version():
        return f"the simulator needs g++; {compiler()[0]!r} is another compiler"
    library = BUILDS[build].preload
    return f"{compiler()[0]} comes without {library}" if library and "/" not in found(library) else ""


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """Return the bits of bfloat16 as uint16, rounded to nearest; NumPy has no such type."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return np.where(np.isnan(values), 0x7FFF, (bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """Return float32 for the bits of bfloat16."""
    return (bits.astype(np.uint32) << 16).view(np.float32)
