"""The process that runs kernels: it may have a sanitizer preloaded, may crash, and imports NumPy alone.

It reads requests from its standard input until that ends, and answers each on its standard output.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

POISON = 0xFF  # a byte: four make a NaN, and an index that is far off
ORDERS = {"ascending": -1, "descending": -2}


@dataclass(frozen=True)
class Out:
    """An array that a kernel writes; what it holds before is poison, or `fill`."""

    shape: tuple[int, ...]
    dtype: Any = np.float32
    fill: float | None = None


class Argument(ctypes.Structure):
    """What simulator/face.h calls an Argument."""

    class Value(ctypes.Union):
        _fields_ = (("address", ctypes.c_void_p), ("whole", ctypes.c_int64), ("real", ctypes.c_double))

    _fields_ = (("kind", ctypes.c_int64), ("item_size", ctypes.c_int64), ("value", Value))


class Buffer:
    """An array in memory of its own, with poison around it where no sanitizer watches the borders."""

    def __init__(self, given: Out | np.ndarray, border: int) -> None:
        shape, dtype = given.shape, np.dtype(given.dtype)
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        self.memory = np.full(size + 2 * border, POISON, np.uint8)
        self.border = border
        self.array = self.memory[border : border + size].view(dtype).reshape(shape)
        self.is_output = isinstance(given, Out)
        self.given = given
        if not isinstance(given, Out):
            self.array[...] = given
        elif given.fill is not None:
            self.array[...] = given.fill

    def damage(self) -> str:
        """Return what a kernel did that it must not: written an input, or outside of the array."""
        outside = (self.memory[: self.border], self.memory[len(self.memory) - self.border :])
        if any((part != POISON).any() for part in outside):
            return "was written outside of its bounds"
        if not isinstance(self.given, Out) and self.array.tobytes() != np.ascontiguousarray(self.given).tobytes():
            return "is an input and was written"
        return ""


class Worker:
    """The libraries that were loaded, and how to call what is in them."""

    def __init__(self, runtime: Path, border: int) -> None:
        self.runtime = ctypes.CDLL(str(runtime), ctypes.RTLD_GLOBAL)
        self.runtime.cuda_on_cpu_begin.argtypes = [ctypes.c_int64]
        self.runtime.cuda_on_cpu_failure.restype = ctypes.c_char_p
        self.border = border
        self.faces: dict[str, ctypes.CDLL] = {}

    def call(self, library: str, function: str, arguments: list[Any], order: str | int) -> tuple[str, list[np.ndarray]]:
        """Return what went wrong, if anything, and the arrays that were written."""
        if library not in self.faces:
            self.faces[library] = ctypes.CDLL(library)
        held = [Buffer(one, self.border) if isinstance(one, Out | np.ndarray) else one for one in arguments]
        self.runtime.cuda_on_cpu_begin(order if isinstance(order, int) else ORDERS[order])
        code = self.faces[library][function]((Argument * len(held))(*map(packed, held)), len(held))
        buffers = [(place, one) for place, one in enumerate(held) if isinstance(one, Buffer)]
        outputs = [buffer.array for _, buffer in buffers if buffer.is_output]
        if code < 0:
            return f"{function}: argument {-code - 1} is missing, too many, or not of the parameter's type", outputs
        if code > 0:
            return self.runtime.cuda_on_cpu_failure().decode() or f"{function} returned the error {code}", outputs
        damages = [f"{function}: argument {place} {buffer.damage()}" for place, buffer in buffers if buffer.damage()]
        return "; ".join(damages), outputs


def packed(value: Buffer | int | float) -> Argument:
    if isinstance(value, Buffer):
        return Argument(0, value.array.itemsize, Argument.Value(address=value.array.ctypes.data))
    if isinstance(value, int | np.integer):
        return Argument(1, 0, Argument.Value(whole=int(value)))
    return Argument(2, 0, Argument.Value(real=float(value)))


def main() -> None:
    """Answer requests; what kernels print goes where errors go."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    worker = Worker(Path(sys.argv[1]), int(sys.argv[2]))
    while True:
        try:
            request = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(worker.call(*request), answers)
        answers.flush()
