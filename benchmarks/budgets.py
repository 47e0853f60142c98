"""Writes csrc/cuda/budgets.json, and the tables in docs/kernels.md, from what the CUDA compiler makes of the kernels.

Needs a CUDA toolkit and nvdisasm (from the toolkit or from Triton), and no GPU.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from cuda_on_cpu import nvcc
from cuda_on_cpu.compiled import budgets, tables
from cuda_on_cpu.compiled.budgets import ARCHS, Budget


def main() -> int:
    """Measure every kernel that the file names, say what has changed, and write both files."""
    if nvcc.toolkit() is None or nvcc.disassembler() is None:
        print("Nothing was written: there is no CUDA toolkit, or no nvdisasm (`pip install triton` brings one).")
        return 2
    before = budgets.read()
    after = [Budget(one.subject, {arch: budgets.measure(one.subject, arch) for arch in ARCHS}) for one in before]
    for old, new in zip(before, after, strict=True):
        for arch in ARCHS:
            changes = difference(old.allowed.get(arch, {}), new.allowed[arch])
            if changes:
                print(f"{new.subject.name} on {arch}: {', '.join(changes)}")
    budgets.write(after, nvcc.version())
    tables.PAGE.write_text(tables.current(), encoding="utf-8")
    return 0


def difference(old: budgets.Measures, new: budgets.Measures) -> list[str]:
    """Return what has another value than before."""
    return [f"{name} {old.get(name, 'none')} -> {value:g}" for name, value in new.items() if old.get(name) != value]


if __name__ == "__main__":
    raise SystemExit(main())
