"""What a launch does, counted: instructions of warps, requests to memory, and how well lanes share them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from cuda_on_cpu.ptx.memory import WARP, Numbers

SECTOR = 32
BANKS, BANK = 32, 4


@dataclass
class Traffic:
    """Accesses to one state space in one direction."""

    requests: int = 0
    bytes: int = 0
    sectors: int = 0
    wavefronts: int = 0
    phases: int = 0


@dataclass
class Counts:
    """Counts of a launch: `opcodes` by warps, `traffic` by "global load", "shared store" and so on."""

    opcodes: Counter[str] = field(default_factory=Counter)
    traffic: dict[str, Traffic] = field(default_factory=dict)

    @property
    def instructions(self) -> int:
        """How many instructions all warps execute together."""
        return self.opcodes.total()

    def access(self, what: str, threads: Numbers, addresses: Numbers, size: int) -> None:
        """Count one instruction's accesses.

        Sectors are the 32-byte parts that a warp's lanes touch; wavefronts the rounds that shared memory takes,
        where each of 32 banks gives 4 bytes a round, and phases the fewest that so many bytes could take.
        """
        warps = threads // WARP
        found = self.traffic.setdefault(what, Traffic())
        found.requests += len(np.unique(warps))
        found.bytes += len(threads) * size
        if what.startswith("global"):
            found.sectors += len(np.unique(np.stack([warps, addresses // SECTOR]), axis=1).T)
            return
        lanes = max(1, BANKS * BANK // size)  # what a phase serves: all lanes, half or a quarter of them
        phase = threads // min(lanes, WARP)
        words = addresses[:, None] + np.arange(0, max(size, BANK), BANK)
        touched = np.unique(np.stack([np.repeat(phase, words.shape[1]), words.reshape(-1) // BANK]), axis=1)
        per_bank = np.unique(np.stack([touched[0], touched[1] % BANKS]), axis=1, return_counts=True)
        first = np.flatnonzero(np.diff(per_bank[0][0], prepend=-1))
        found.wavefronts += int(np.maximum.reduceat(per_bank[1], first).sum())
        found.phases += len(first)
