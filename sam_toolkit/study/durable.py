"""Writes files that are there in whole or not at all, even when the machine loses power."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

TEMPORARY = ".tmp"
"""How the names of files end that are not finished yet."""


def write_durably(path: Path, data: bytes) -> None:
    """Write `data` to `path` in one step, over what was there; a missing folder is made."""
    make_folder(path.parent)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it where they are missing, each entered durably in the one above."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
