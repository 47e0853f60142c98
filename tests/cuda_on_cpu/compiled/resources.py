"""What ptxas says about each kernel: registers, spills and shared memory."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ENTRY = re.compile(r"Compiling entry function '([\w$]+)'(.*?)(?=Compiling entry function|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Resources:
    """What a thread, and what a block, of a kernel takes."""

    registers: int
    spill_bytes: int
    stack_bytes: int
    shared_bytes: int
    barriers: int


def kernels(log: str) -> dict[str, Resources]:
    """Return the resources of every kernel in the log of `ptxas -v`, by mangled names."""
    return {entry[1]: _resources(entry[2]) for entry in _ENTRY.finditer(log)}


def _resources(text: str) -> Resources:
    spills = _number(text, r"(\d+) bytes spill stores") + _number(text, r"(\d+) bytes spill loads")
    return Resources(
        registers=_number(text, r"Used (\d+) registers"),
        spill_bytes=spills,
        stack_bytes=_number(text, r"(\d+) bytes stack frame"),
        shared_bytes=_number(text, r"(\d+) bytes smem"),
        barriers=_number(text, r"used (\d+) barriers"),
    )


def _number(text: str, pattern: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0
