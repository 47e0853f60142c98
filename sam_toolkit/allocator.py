"""Settings of the C library's allocator that keep large buffers between operators, instead of giving them back."""

from __future__ import annotations

import os
import platform
import sys

VARIABLES = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_TOP_PAD_": "268435456",
}
"""What glibc reads when a process starts; without them, page faults can take half of the time on a CPU."""


def keeps_buffers() -> bool:
    """Return whether large buffers stay with this process, or cannot be made to."""
    return platform.system() != "Linux" or all(name in os.environ for name in VARIABLES)


def keep_buffers() -> None:
    """Start this process again with the variables, unless it has them; what the user has set stays."""
    if not keeps_buffers():
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**VARIABLES, **os.environ})
