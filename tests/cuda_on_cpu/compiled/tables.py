"""The tables in docs/kernels.md, from the budgets."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cuda_on_cpu import nvcc
from cuda_on_cpu.compiled import budgets
from cuda_on_cpu.compiled.budgets import ARCHS, Budget
from cuda_on_cpu.compiled.roofline import GPUS, bound

PAGE = nvcc.ROOT / "docs" / "kernels.md"
_BEGIN, _END = "<!-- written by benchmarks/budgets.py: {} -->", "<!-- end -->"


def current(page: Path = PAGE) -> str:
    """Return the page with its tables as the budgets make them."""
    text, found = page.read_text(encoding="utf-8"), budgets.read()
    for name, table in (("resources", resources(found)), ("loops", loops(found)), ("bounds", bounds(found))):
        before, begin, rest = text.partition(_BEGIN.format(name))
        after = rest.partition(_END)[2]
        text = f"{before}{begin}\n{table}\n{_END}{after}"
    return text


def resources(found: list[Budget]) -> str:
    """Return the table of registers, spills, shared memory and occupancy."""
    rows = []
    for budget in found:
        for arch, takes in budget.allowed.items():
            numbers = (takes["registers"], takes["spill_bytes"], takes["shared_bytes"])
            row = (f"`{budget.subject.name}`", arch, budget.subject.threads, *map(_number, numbers))
            rows.append((*row, f"{takes['occupancy']:.0%}"))
    heads = ("kernel", "machine code", "threads", "registers", "spilled bytes", "shared bytes", "occupancy")
    return _table(heads, rows)


def loops(found: list[Budget]) -> str:
    """Return the table of instructions for one output."""
    units = ("instructions", "least_instructions", "fp32", "fp64", "special", "shuffle", "shared", "load_bytes")
    rows = []
    for budget in found:
        for arch in ARCHS:
            takes = budget.allowed[arch]
            if "instructions" in takes:
                name, unit = f"`{budget.subject.name}`", budget.subject.unit
                vectors = " ".join(f"`{one}`" for one in budget.subject.vectors.split()) or "-"
                rows.append((name, unit, arch, *(_number(takes[one]) for one in units), vectors))
    heads = ("kernel", "one output is", "machine code", "instructions", "at least", *units[2:-1], "loaded bytes")
    return _table((*heads, "vector accesses"), rows)


def bounds(found: list[Budget]) -> str:
    """Return the table of upper bounds by GPU."""
    rows = []
    for budget in found:
        cells = []
        for gpu in GPUS:
            most = bound(budget, gpu)
            cells.append(f"{most.rate:.2g} ({most.limit})")
        rows.append((f"`{budget.subject.name}`", budget.subject.unit, _number(budget.subject.bytes), *cells))
    return _table(("kernel", "one output is", "bytes to and from memory", *(gpu.name for gpu in GPUS)), rows)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _number(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".") if value else "0"
