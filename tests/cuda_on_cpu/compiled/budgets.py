"""What each kernel may take of a GPU (`csrc/cuda/budgets.json`), and what the compiler makes it take."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from cuda_on_cpu import nvcc
from cuda_on_cpu.compiled import resources, sass
from cuda_on_cpu.compiled.occupancy import occupancy
from cuda_on_cpu.compiled.paths import least
from cuda_on_cpu.compiled.resources import Resources

FILE = nvcc.SOURCES / "cuda" / "budgets.json"
ARCHS = ("sm_80", "sm_90", "sm_120")
REWRITE = "python benchmarks/budgets.py"
_AT_LEAST = frozenset({"occupancy"})  # of which more is better
Measures = dict[str, float]


@dataclass(frozen=True)
class Subject:
    """A kernel and how it is looked at.

    Its main loop is the smallest one with most instructions called `marker`, each of which stands for `outputs`
    of the `unit`, which takes `bytes` to and from memory if each is moved once; `vectors` are accesses that it
    means to have, such as `LDG.128 STG.128`.
    """

    name: str
    source: str
    threads: int
    unit: str
    marker: str
    outputs: float
    bytes: float
    vectors: str = ""

    @property
    def path(self) -> Path:
        """The kernel file."""
        return FILE.parent / self.source


@dataclass(frozen=True)
class Budget:
    """What a kernel may take, by architecture and measure."""

    subject: Subject
    allowed: dict[str, Measures]


def read(file: Path = FILE) -> list[Budget]:
    """Return the budgets of a file."""
    found: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["kernels"]
    return [_budget(name, entry) for name, entry in found.items()]


def compiler(file: Path = FILE) -> str:
    """Return the version of the compiler that a file's budgets are from."""
    version: str = json.loads(file.read_text(encoding="utf-8"))["compiler"]
    return version


def write(budgets: list[Budget], version: str, file: Path = FILE) -> None:
    """Write budgets to a file, the measures of one architecture on a line."""
    entries = {budget.subject.name: {"subject": _rest(budget.subject), **budget.allowed} for budget in budgets}
    text = json.dumps({"compiler": version, "kernels": entries}, indent=1)
    text = re.sub(r"[\[{][^\[\]{}]*[\]}]", lambda inner: " ".join(inner[0].split()), text)
    file.write_text(text + "\n", encoding="utf-8")


def measure(subject: Subject, arch: str) -> Measures:
    """Return what the compiler makes of a kernel; without a disassembler only what it says itself."""
    used = _resources(subject.path, arch)[subject.name]
    found: Measures = {
        "registers": used.registers,
        "spill_bytes": used.spill_bytes,
        "stack_bytes": used.stack_bytes,
        "shared_bytes": used.shared_bytes,
        "occupancy": round(occupancy(arch, subject.threads, used), 3),
    }
    if nvcc.disassembler() is not None:
        found |= _loop(subject, _code(subject.path, arch)[subject.name])
    return found


def passed(budget: Budget, arch: str, found: Measures) -> list[str]:
    """Return a sentence for every measure that is worse than its budget."""
    allowed = budget.allowed[arch]
    return [
        f"{budget.subject.name} on {arch}: {name} is {value:g}, its budget {allowed[name]:g}; "
        f"if that is meant to be, `{REWRITE}` writes {FILE.name} anew"
        for name, value in found.items()
        if (value < allowed[name] if name in _AT_LEAST else value > allowed[name])
    ]


def missing_vectors(subject: Subject, arch: str) -> list[str]:
    """Return the vector accesses that a kernel means to have and has not."""
    lines = _code(subject.path, arch)[subject.name].lines
    return [name for name in subject.vectors.split() if not sass.count(lines, name)]


def kernel_names(source: Path, arch: str) -> set[str]:
    """Return the names of all kernels in a file."""
    return set(_resources(source, arch))


def _loop(subject: Subject, code: sass.Code) -> Measures:
    """Return the instructions of the main loop for one output: that stand there, and that any way through it has."""
    loop = code.main_loop(subject.marker)
    if loop is None:
        raise LookupError(f"no loop of {subject.name} has an instruction {subject.marker}")
    lines = code.part(loop)
    found = {"instructions": len(lines) / sass.count(lines, subject.marker)}
    weights: dict[str, Callable[[sass.Line], float]] = {"least_instructions": lambda line: 1}
    weights |= {unit: partial(_uses, unit) for unit in sass.UNITS} | {"load_bytes": sass.loaded}
    found |= {name: least(code, loop, subject.marker, weight) for name, weight in weights.items()}
    return {name: round(value / subject.outputs, 2) for name, value in found.items()}


def _uses(unit: str, line: sass.Line) -> bool:
    return line.opcode in sass.UNITS[unit]


def _rest(subject: Subject) -> dict[str, Any]:
    return {name: value for name, value in asdict(subject).items() if name != "name"}


def _budget(name: str, entry: dict[str, Any]) -> Budget:
    return Budget(Subject(name, **entry["subject"]), {arch: entry[arch] for arch in ARCHS if arch in entry})


@cache
def _resources(source: Path, arch: str) -> dict[str, Resources]:
    return _named(resources.kernels(nvcc.cubin(source, arch).log))


@cache
def _code(source: Path, arch: str) -> dict[str, sass.Code]:
    return _named(sass.kernels(nvcc.disassembly(source, arch)))


def _named(found: dict[str, Any]) -> dict[str, Any]:
    names = nvcc.readable(list(found))
    return {names[mangled]: value for mangled, value in found.items()}
