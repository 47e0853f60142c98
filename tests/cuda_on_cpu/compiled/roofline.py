"""How fast a kernel's main loop can be at most, from counted instructions and GPUs' data sheets: bounds, not times."""

from __future__ import annotations

from dataclasses import dataclass

from cuda_on_cpu.compiled.budgets import Budget

L1_BYTES = 128  # of a multiprocessor in a clock


@dataclass(frozen=True)
class Gpu:
    """What a data sheet says: multiprocessors, boost clock in GHz, memory in GB/s.

    `lanes` are results of a multiprocessor in a clock, by unit (CUDA programming guide, "Arithmetic instructions");
    `arch` is what limits occupancy, `code` the machine code that runs.
    """

    name: str
    arch: str
    code: str
    multiprocessors: int
    clock: float
    memory: float
    lanes: dict[str, int]


_SAME = {"least_instructions": 128, "special": 16, "shuffle": 32, "shared": 32}
GPUS = (
    Gpu("A100 SXM 80 GB", "sm_80", "sm_80", 108, 1.41, 2039, {**_SAME, "fp32": 64, "fp64": 32}),
    Gpu("H100 SXM", "sm_90", "sm_90", 132, 1.98, 3350, {**_SAME, "fp32": 128, "fp64": 64}),
    Gpu("RTX 4090", "sm_89", "sm_80", 128, 2.52, 1008, {**_SAME, "fp32": 128, "fp64": 2}),
)


@dataclass(frozen=True)
class Bound:
    """At most so many outputs in a second, and by what they are limited."""

    rate: float
    limit: str


def bound(budget: Budget, gpu: Gpu) -> Bound:
    """Return the least of all upper bounds of a kernel's rate on a GPU, as if it had nothing to wait for."""
    takes = budget.allowed[gpu.code]
    clocks = gpu.multiprocessors * gpu.clock * 1e9
    rates = {unit: lanes * clocks / takes[unit] for unit, lanes in gpu.lanes.items() if takes.get(unit)}
    if takes.get("load_bytes"):
        rates["L1"] = L1_BYTES * clocks / takes["load_bytes"]
    if budget.subject.bytes:
        rates["memory"] = gpu.memory * 1e9 / budget.subject.bytes
    limit = min(rates, key=rates.__getitem__)
    return Bound(rates[limit], limit.removeprefix("least_"))
