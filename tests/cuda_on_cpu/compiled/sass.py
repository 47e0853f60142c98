"""Machine code as nvdisasm prints it: the instructions of each kernel, its loops and its vector accesses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_SECTION = re.compile(r"^\s*\.section\s+\.text\.([\w$]+)", re.MULTILINE)
_LINE = re.compile(r"^(?P<label>\.L\w+):|/\*[0-9a-f]{4,}\*/\s+(?P<text>[^;]+);", re.MULTILINE)
_TARGET = re.compile(r"`\((\.L\w+)\)")
_SAME = {"REDG": "RED"}  # names of later architectures
UNITS = {
    "fp32": {"FADD", "FMUL", "FFMA", "FMNMX", "FSEL", "FSETP", "FSET", "FCHK"},
    "fp64": {"DADD", "DMUL", "DFMA", "DSETP", "DMNMX"},
    "special": {"MUFU"},
    "shuffle": {"SHFL"},
    "shared": {"LDS", "STS"},
    "load": {"LDG", "LD"},
    "store": {"STG", "ST"},
    "local": {"LDL", "STL"},
}


@dataclass(frozen=True)
class Line:
    """One instruction: `LDG`, its parts `E`, `128`, ..., the label that it may jump to, and whether it always does."""

    opcode: str
    parts: tuple[str, ...]
    target: str
    leaves: bool


@dataclass(frozen=True)
class Loop:
    """The instructions from a label to the jump back to it."""

    first: int
    last: int

    def holds(self, other: Loop) -> bool:
        """Return whether another loop lies in this one."""
        return self != other and self.first <= other.first and other.last <= self.last


@dataclass(frozen=True)
class Code:
    """The machine code of one kernel."""

    lines: tuple[Line, ...]
    labels: dict[str, int]

    def loops(self) -> list[Loop]:
        """Return every loop, in order; several jumps back to one place are one loop."""
        ends = {target: at for at in sorted(self._reached()) for target in self.jumps(at) if target <= at}
        return [Loop(first, last) for first, last in sorted(ends.items())]

    def jumps(self, at: int) -> list[int]:
        """Return where an instruction jumps to, if it does."""
        line = self.lines[at]
        return [self.labels[line.target]] if line.opcode == "BRA" and line.target in self.labels else []

    def following(self, at: int) -> list[int]:
        """Return the instructions that can come after one."""
        return self.jumps(at) if self.lines[at].leaves else [*self.jumps(at), at + 1]

    def _reached(self) -> set[int]:
        """Return all instructions but subroutines and what the compiler wrote for warps that it knows not to part."""
        found, waiting = set[int](), [0]
        while waiting:
            at = waiting.pop()
            if at not in found and at < len(self.lines):
                found.add(at)
                waiting += self.following(at)
        return found

    def innermost(self) -> list[Loop]:
        """Return the loops that hold no other."""
        loops = self.loops()
        return [loop for loop in loops if not any(loop.holds(other) for other in loops)]

    def part(self, loop: Loop) -> tuple[Line, ...]:
        """Return the instructions of a loop."""
        return self.lines[loop.first : loop.last + 1]

    def main_loop(self, marker: str) -> Loop | None:
        """Return, of the smallest loops with the marker in them, the one that has it most often."""
        marked = [loop for loop in self.loops() if count(self.part(loop), marker)]
        smallest = [loop for loop in marked if not any(loop.holds(other) for other in marked)]
        sizes = [(count(self.part(loop), marker), loop.first - loop.last, loop) for loop in smallest]
        return max(sizes, key=lambda size: size[:2])[2] if sizes else None


def kernels(text: str) -> dict[str, Code]:
    """Return the code of every kernel in a disassembly, by mangled names."""
    starts = [*_SECTION.finditer(text)]
    ends = [*(start.start() for start in starts[1:]), len(text)]
    return {start[1]: _code(text[start.end() : end]) for start, end in zip(starts, ends, strict=True)}


def count(lines: tuple[Line, ...], name: str) -> int:
    """Return how many instructions are called `name` (with parts that they must have: `LDG.128`)."""
    opcode, *parts = name.split(".")
    return sum(line.opcode == opcode and set(parts) <= set(line.parts) for line in lines)


def loaded(line: Line) -> int:
    """Return how many bytes an instruction loads from global memory."""
    if line.opcode not in UNITS["load"]:
        return 0
    widths = {"U8": 1, "S8": 1, "U16": 2, "S16": 2, "64": 8, "128": 16}
    return next((widths[part] for part in line.parts if part in widths), 4)


def _code(text: str) -> Code:
    labels: dict[str, int] = {}
    lines: list[Line] = []
    for label, statement in _statements(text):
        if label:
            labels[label] = len(lines)
        else:
            lines.append(_line(statement))
    while lines and lines[-1].opcode in {"NOP", "BRA"}:  # what fills the section up
        lines.pop()
    return Code(tuple(lines), labels)


def _statements(text: str) -> Iterator[tuple[str, str]]:
    for found in _LINE.finditer(text):
        yield found["label"] or "", (found["text"] or "").strip()


def _line(statement: str) -> Line:
    guard, _, rest = statement.partition(" ") if statement.startswith("@") else ("", "", statement)
    name, _, operands = rest.strip().partition(" ")
    opcode, *parts = name.split(".")
    target = _TARGET.search(statement) if guard != "@!PT" else None  # which is never
    always = opcode in {"EXIT", "RET"} or (opcode == "BRA" and operands.startswith("`"))
    return Line(_SAME.get(opcode, opcode), tuple(parts), target[1] if target else "", always and not guard)
