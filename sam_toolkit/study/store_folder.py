"""The folder of a store: what marks it as one, and the lock of the process that writes it."""

from __future__ import annotations

import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sam_toolkit import __version__
from sam_toolkit.errors import StoreError
from sam_toolkit.study.durable import TEMPORARY, make_folder, write_durably

FORMAT = 1
"""Goes up when an older toolkit could no longer read what a newer one writes."""

_MARK = "store.json"
_LOCK = "driver.lock"


def make_store(folder: Path) -> None:
    """Make `folder` a store, if it is empty or missing; raises StoreError where it holds something else."""
    if (folder / _MARK).exists():
        return
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder} is a file; a store is a folder. Name another place.")
    if folder.is_dir() and any(entry.suffix != TEMPORARY for entry in folder.iterdir()):
        raise StoreError(
            f"{folder} is not empty and no store ({_MARK} is missing): nothing is written there. "
            "Name an empty or new folder, or the folder of an earlier run."
        )
    try:
        make_folder(folder)
        mark = {"format": FORMAT, "sam_toolkit": __version__}
        write_durably(folder / _MARK, json.dumps(mark, indent=1).encode())
    except OSError as error:
        raise StoreError(f"No store can be made at {folder}: {error.strerror}. Name another place.") from error


def check_store(folder: Path) -> None:
    """Raise StoreError unless `folder` is a store that this version of the toolkit understands."""
    path = folder / _MARK
    try:
        mark = json.loads(path.read_text(encoding="utf-8"))
        found, version = int(mark["format"]), str(mark["sam_toolkit"])
    except FileNotFoundError:
        raise StoreError(f"{folder} is no store (no {_MARK}). Name the folder of an earlier run.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} cannot be read ({error}). Every store of this version has the text "
            f'{{"format": {FORMAT}, "sam_toolkit": "{__version__}"}} there; write that and try again.'
        ) from error
    if found > FORMAT:
        raise StoreError(
            f"The store {folder} has format {found}, written by sam_toolkit {version}; this is "
            f"{__version__}, which reads formats up to {FORMAT}. Update sam_toolkit, or name another folder."
        )


@contextmanager
def driver_lock(folder: Path) -> Iterator[None]:
    """Hold the right to write the store; raises StoreError that names the process that has it.

    The lock goes when its holder ends, however it ends, so a killed run stands in nobody's way.
    """
    with (folder / _LOCK).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "a process that has just started"
            raise StoreError(
                f"The store {folder} is being written by {holder}. Wait for its end, or name another folder."
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}\n")
        file.flush()
        yield
