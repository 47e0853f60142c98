"""PTX as the compiler writes it, taken apart: kernels, their parameters and variables, and their instructions."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

WIDTHS = {"pred": 1, "8": 1, "16": 2, "32": 4, "64": 8}
_ENTRY = re.compile(r"\.entry\s+([\w$]+)\((.*?)\)(.*?)\n\{(.*?)\n\}", re.DOTALL)
_PARAMETER = re.compile(r"\.param(?:\s+\.align\s+\d+)?\s+\.([a-z]+)(\d+)\s+([\w$]+)(?:\[(\d+)\])?")
_VARIABLE = re.compile(r"\.(shared|local)(?:\s+\.align\s+(\d+))?\s+\.[a-z]+(\d+)\s+([\w$]+)(?:\[(\d+)\])?\s*;")
_REGISTERS = re.compile(r"\.reg\s+\.(?:pred|[a-z]+(\d+))\s+([^;]+);")
_LOCATION = re.compile(r"\.loc\s+(\d+)\s+(\d+)\s+\d+(?:.*inlined_at\s+(\d+)\s+(\d+))?")
_FILE = re.compile(r'^\s*\.file\s+(\d+)\s+"([^"]+)"', re.MULTILINE)
_ENDED = re.compile(r"\.loc[^\n]*|[\w$]+:(?!:)")
_OPERAND = re.compile(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+")
_SHAPES = frozenset({"v2", "v4"})
_TYPE = re.compile(r"(?:[usbf](?:8|16|32|64)|bf16|pred)$")


class UnsupportedError(Exception):
    """Names what the interpreter does not know."""


@dataclass(frozen=True)
class Address:
    """A base, which is a register, a variable or a parameter, and bytes beyond it."""

    base: str
    offset: int


Operand = str | int | Address | tuple["Operand", ...]


@dataclass(frozen=True)
class Instruction:
    """One instruction; `kinds` are its types, `target` is where a branch goes, `place` its line in the source."""

    opcode: str
    modifiers: tuple[str, ...]
    kinds: tuple[str, ...]
    operands: tuple[Operand, ...]
    guard: str = ""
    guard_wanted: bool = True
    target: int = -1
    text: str = ""
    place: str = ""

    def __str__(self) -> str:
        return f"{self.place} `{self.text}`" if self.place else f"`{self.text}`"


@dataclass(frozen=True)
class Variable:
    """A shared or local array."""

    space: str
    size: int
    align: int


@dataclass(frozen=True)
class Kernel:
    """One kernel; `parameters` are (name, bytes) in order, `registers` bytes by name without its number."""

    name: str
    parameters: tuple[tuple[str, int], ...]
    variables: dict[str, Variable]
    registers: dict[str, int]
    code: tuple[Instruction, ...]
    max_threads: int = 1024


@dataclass
class _Body:
    """What stands between a kernel's braces, as it is read."""

    files: dict[str, str]
    code: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    branches: dict[int, str] = field(default_factory=dict)
    place: str = ""

    def read(self, text: str) -> tuple[Instruction, ...]:
        parts = (part.lstrip("{} \t\n").rstrip() for part in _ENDED.sub(r"\g<0>;", text).split(";"))
        for statement in filter(None, parts):  # the braces around inline assembly mean nothing here
            if location := _LOCATION.match(statement):
                inlined = f" from {self.files[location[3]]}:{location[4]}" if location[3] else ""
                self.place = f"{self.files[location[1]]}:{location[2]}{inlined}"
            elif statement.endswith(":"):
                self.labels[statement[:-1]] = len(self.code)
            else:
                self._add(statement)
        return tuple(self._resolved())

    def _add(self, text: str) -> None:
        line = " ".join(text.split())
        guard, _, rest = line[1:].partition(" ") if line.startswith("@") else ("", "", line)
        name, _, words = rest.partition(" ")
        opcode, *modifiers = [name] if name.startswith(".") else name.split(".")  # a directive: unknown where it runs
        operands = () if opcode == "bra" else tuple(_operands(words))
        if opcode == "bra":
            self.branches[len(self.code)] = words.strip()
        kinds = tuple(part for part in modifiers if _TYPE.match(part))
        others = tuple(part for part in modifiers if part not in kinds)
        wanted = not guard.startswith("!")
        guard = guard.lstrip("!")
        self.code.append(Instruction(opcode, others, kinds, operands, guard, wanted, text=line, place=self.place))

    def _resolved(self) -> Iterator[Instruction]:
        for at, one in enumerate(self.code):
            target = self.labels[self.branches[at]] if at in self.branches else -1
            yield Instruction(**{**vars(one), "target": target})


def parse(text: str) -> dict[str, Kernel]:
    """Return the kernels of a PTX file by their mangled names."""
    text = re.sub(r"//[^\n]*", "", text)
    files = {number: path.rpartition("/")[2] for number, path in _FILE.findall(text)}
    entries = list(_ENTRY.finditer(text))
    outside = _ENTRY.sub("", text)
    return {entry[1]: _kernel(entry, files, outside) for entry in entries}


def _plain(text: str, names: list[str]) -> str:
    """Give a kernel's variables and parameters short names: what a mangled name ends with, if no other ends so."""
    short = {name: _last_part(name) for name in names}
    for name, plain in short.items():
        if list(short.values()).count(plain) == 1:
            text = re.sub(rf"(?<![\w$]){re.escape(name)}(?![\w$])", plain, text)
    return re.sub(r"(?<![\w$])[\w$]+_param_(?=\d+\b)", "parameter_", text)


def _last_part(name: str) -> str:
    """Return the last name in a mangled one, where each has its length before it."""
    lengths = re.finditer(r"(?<!\d)(\d+)(?=[A-Za-z_])", name)
    return next((name[one.end() :] for one in lengths if int(one[1]) == len(name) - one.end()), name)


def _kernel(entry: re.Match[str], files: dict[str, str], outside: str) -> Kernel:
    name, parameters, directives, body = entry.groups()
    names = [one for one in _variables(outside + body) if re.search(rf"(?<![\w$]){re.escape(one)}(?![\w$])", body)]
    known = _variables(_plain(outside + body, names))
    body, parameters = _plain(body, names), _plain(parameters, names)
    variables = {one: variable for one, variable in known.items() if one in body}
    code = re.sub(r"\.pragma[^;]*;", "", _REGISTERS.sub("", _VARIABLE.sub("", body)))
    sizes = tuple((one[3], int(one[2]) // 8 * int(one[4] or 1)) for one in _PARAMETER.finditer(parameters))
    return Kernel(name, sizes, variables, _registers(body), _Body(files).read(code), _most_threads(directives))


def _most_threads(directives: str) -> int:
    """Return how many threads a block may have: what the launch bounds say, else what GPUs can."""
    bound = re.search(r"\.maxntid\s+([\d, ]+)", directives)
    return math.prod(map(int, bound[1].split(","))) if bound else 1024


def _variables(text: str) -> dict[str, Variable]:
    found = _VARIABLE.finditer(text)
    return {one[4]: Variable(one[1], int(one[3]) // 8 * int(one[5] or 1), int(one[2] or 1)) for one in found}


def _registers(body: str) -> dict[str, int]:
    """Return the bytes of registers: `%r<9>` declares %r0 to %r8, other names stand for themselves."""
    sizes = {"%tid": 4, "%ntid": 4, "%ctaid": 4, "%nctaid": 4}
    for width, names in _REGISTERS.findall(body):
        for name in re.split(r"[,\s]+", names.strip()):
            sizes[re.sub(r"<\d+>$", "", name)] = WIDTHS[width or "pred"]
    return sizes


def _operands(words: str) -> Iterator[Operand]:
    for word in _OPERAND.findall(words):
        if word.startswith("{"):
            yield tuple(_operands(word[1:-1]))
        elif word.startswith("["):
            base, _, offset = word[1:-1].replace(" ", "").partition("+")
            yield Address(base, int(offset or 0))
        else:
            yield _literal(word)


def _literal(word: str) -> Operand:
    if found := re.fullmatch(r"0[fd]([0-9A-Fa-f]+)", word):
        return int(found[1], 16)
    try:
        return int(word, 0)
    except ValueError:
        return word
