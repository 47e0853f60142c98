"""A run's folder: maps, scores, failures, runs; killed anywhere, it keeps all that it acknowledged."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from sam_toolkit.errors import StoreError
from sam_toolkit.study import map_files
from sam_toolkit.study.index import Index
from sam_toolkit.study.map_files import DamagedMapsError
from sam_toolkit.study.records import Cost, FailedTask, Run, Score
from sam_toolkit.study.store_folder import check_store, driver_lock, make_store
from sam_toolkit.study.task import MapFile

__all__ = ["Score", "Store"]

_LOG = logging.getLogger(__name__)
_INDEX = "index.sqlite"
_LISTED = "IN (SELECT value FROM json_each(?))"
"""Whether a key is in a list of any length, which is bound as JSON."""


class Store:
    """A folder of maps and an index of them; one process writes it, any number read it meanwhile.

    `Store.open` gives a store to write, `Store.read` one to read; both close at the end of a `with` block.
    """

    def __init__(self, folder: Path, index: Index, closing: ExitStack, *, writes: bool) -> None:
        """Use what `open` or `read` opened; `closing` lets go of it."""
        self.folder = folder
        self._index = index
        self._closing = closing
        self._writes = writes
        self._checked: set[tuple[str, str]] = set()

    @classmethod
    def open(cls, folder: Path, create: bool = True) -> Self:
        """Return the store at `folder` for writing, made where `create` says so and there is none.

        Whole files that a killed run did not record are taken over; half-written ones are removed. Raises
        StoreError where the folder is something else, of a newer format, damaged, or being written already.
        """
        if create:
            make_store(folder)
        check_store(folder)
        with ExitStack() as stack:
            stack.enter_context(driver_lock(folder))
            index = Index(folder / _INDEX, write=True)
            stack.callback(index.close)
            store = cls(folder, index, stack, writes=True)
            store._mend()
            store._closing = stack.pop_all()
        return store

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the store at `folder` for reading, even while it is written; raises as `open` does."""
        check_store(folder)
        index = Index(folder / _INDEX, write=False)
        stack = ExitStack()
        stack.callback(index.close)
        return cls(folder, index, stack, writes=False)

    def close(self) -> None:
        """Let go of the folder; closing twice does no harm."""
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def record(self, file: MapFile, rows: int = 0, seconds: float = 0.0) -> None:
        """Enter a written file with the network rows and seconds it took; its keys are no failures now."""
        with self._index.transaction():
            self._enter(file, Cost(rows, seconds), "INSERT OR REPLACE")

    def known(self, keys: Iterable[str]) -> set[str]:
        """Return those of `keys` whose file is there with its size; `verify` looks into the files too."""
        found = (file for file in self._files(keys) if map_files.is_whole(self.folder, file))
        return {key for file in found for key in file.keys}

    def verify(self, keys: Iterable[str]) -> set[str]:
        """Return those of `keys` whose file holds what was written; drops damaged files with their keys."""
        good: set[str] = set()
        for file in self._files(keys):
            try:
                self._load(file)
            except DamagedMapsError:
                continue
            good.update(file.keys)
        return good

    def map(self, key: str) -> Tensor:
        """Return a map `[H, W]`; raises StoreError as `maps` does."""
        return self.maps([key])[0]

    def maps(self, keys: Sequence[str]) -> Tensor:
        """Return maps `[K, H, W]`, all of one size, in the order of `keys`; a file's first reading checks it.

        Raises StoreError where a key is not known, and where its file is damaged: that file is dropped.
        """
        found: dict[str, Tensor] = {}
        for file in self._files(keys):
            try:
                found.update(self._load(file))
            except DamagedMapsError as error:
                raise DamagedMapsError(f"{error} Run the study again to compute its maps anew.") from error
        missing = [key for key in keys if key not in found]
        if missing:
            raise StoreError(f"The store {self.folder} lacks {len(missing)} of {len(keys)} maps, as {missing[0]}.")
        return torch.stack([found[key] for key in keys]) if keys else torch.empty(0, 0, 0)

    def beside(self, keys: Iterable[str]) -> dict[str, dict[str, Tensor]]:
        """Return by key of a map the tensors by name that are kept beside it; without those that have none."""
        wanted = set(keys)
        there = self._index.rows(
            "SELECT other.key FROM maps AS own JOIN maps AS other "
            f"ON other.key > own.key || '/' AND other.key < own.key || '0' WHERE own.key {_LISTED}",
            _list(wanted),
        )
        found: dict[str, dict[str, Tensor]] = {}
        for file in self._files(key for (key,) in there):
            for key, tensor in self._load(file).items():
                owner, separator, name = key.partition("/")
                if separator and owner in wanted:
                    found.setdefault(owner, {})[name] = tensor
        return found

    def cost(self, keys: Iterable[str]) -> Cost:
        """Return what the files with these maps took; one taken over from a killed run counts as nothing."""
        [(rows, seconds)] = self._index.rows(
            "SELECT COALESCE(SUM(rows), 0), COALESCE(SUM(seconds), 0.0) FROM files "
            f"WHERE id IN (SELECT file FROM maps WHERE key {_LISTED})",
            _list(keys),
        )
        return Cost(rows, seconds)

    def scores(self, keys: Iterable[str]) -> dict[str, Score]:
        """Return the scores that are there, by key."""
        rows = self._index.rows(f"SELECT key, value, extras FROM scores WHERE key {_LISTED}", _list(keys))
        return {row[0]: Score.of_row(*row) for row in rows}

    def add_scores(self, scores: Iterable[Score]) -> None:
        """Keep scores, all or, where one cannot be had, none; a score that was there is replaced."""
        rows = [score.row() for score in scores]  # before the transaction: making them may use the store
        with self._index.transaction():
            self._index.write_all("INSERT OR REPLACE INTO scores VALUES (?, ?, ?)", rows)

    def fail(self, label: str, keys: Iterable[str], error: str) -> None:
        """Keep the error of a task until each of its keys is recorded."""
        with self._index.transaction():
            rows = [(key, label, error) for key in keys]
            self._index.write_all("INSERT OR REPLACE INTO failures VALUES (?, ?, ?)", rows)

    def failures(self) -> tuple[FailedTask, ...]:
        """Return the tasks that failed and have not succeeded since."""
        keys: dict[tuple[str, str], list[str]] = {}
        for key, *failed in self._index.rows("SELECT key, label, error FROM failures ORDER BY label, key"):
            label, error = failed
            keys.setdefault((label, error), []).append(key)
        return tuple(FailedTask(label, tuple(own), error) for (label, error), own in keys.items())

    def start_run(self, provenance: Mapping[str, Any]) -> int:
        """Keep what a run is made of, JSON values with the study's text among them; return its number."""
        return self._index.write(
            "INSERT INTO runs (started, status, provenance, cost) VALUES (?, 'running', ?, '{}')",
            _now(),
            json.dumps(dict(provenance)),
        )

    def finish_run(self, run: int, status: str, cost: Mapping[str, Any]) -> None:
        """Keep how a run ended and what it took (JSON values)."""
        self._index.write(
            "UPDATE runs SET finished = ?, status = ?, cost = ? WHERE id = ?",
            *(_now(), status, json.dumps(dict(cost)), run),
        )

    def runs(self) -> tuple[Run, ...]:
        """Return every run that wrote the store, the first one first."""
        rows = self._index.rows("SELECT id, started, finished, status, provenance, cost FROM runs ORDER BY id")
        return tuple(Run.of_row(*row) for row in rows)

    def _mend(self) -> None:
        """Put right what a killed run left behind; nobody else writes now, for the lock is held."""
        map_files.sweep(self.folder)
        self._index.write("UPDATE runs SET status = 'killed' WHERE status = 'running'")
        recorded = {path for (path,) in self._index.rows("SELECT path FROM files")}
        for path in map_files.stored_files(self.folder):
            if path not in recorded:
                self._adopt(path)

    def _adopt(self, path: str) -> None:
        try:
            file = map_files.adopt(self.folder, path)
        except DamagedMapsError as error:
            self._drop(path, error)
            return
        with self._index.transaction():
            self._enter(file, Cost(0, 0.0), "INSERT OR IGNORE")

    def _enter(self, file: MapFile, cost: Cost, insert: str) -> None:
        """Enter a file; `insert` says whether keys that another file has too are taken from that one."""
        self._index.write("DELETE FROM files WHERE path = ?", file.path)
        number = self._index.write(
            "INSERT INTO files (path, checksum, size, rows, seconds) VALUES (?, ?, ?, ?, ?)",
            *(file.path, file.checksum, file.size, *cost),
        )
        self._index.write_all(f"{insert} INTO maps VALUES (?, ?)", [(key, number) for key in file.keys])
        self._index.write_all("DELETE FROM failures WHERE key = ?", [(key,) for key in file.keys])

    def _files(self, keys: Iterable[str]) -> list[MapFile]:
        """Return the files that hold `keys`, each with those of its keys that were asked for."""
        asked: dict[tuple[str, str, int], list[str]] = {}
        for key, *file in self._index.rows(
            f"SELECT key, path, checksum, size FROM maps JOIN files ON file = id WHERE key {_LISTED}",
            _list(keys),
        ):
            path, checksum, size = file
            asked.setdefault((path, checksum, size), []).append(key)
        return [MapFile(*file, keys=tuple(own)) for file, own in asked.items()]

    def _load(self, file: MapFile) -> dict[str, Tensor]:
        """Return the maps of a file's keys, perhaps with others; drops a damaged file: DamagedMapsError."""
        try:
            if (file.path, file.checksum) in self._checked:
                return map_files.read_some(self.folder, file)
            maps = map_files.read_checked(self.folder, file)
        except DamagedMapsError as error:
            self._checked.discard((file.path, file.checksum))
            if self._writes:
                self._drop(file.path, error)
            raise
        self._checked.add((file.path, file.checksum))
        return maps

    def _drop(self, path: str, error: DamagedMapsError) -> None:
        _LOG.warning("%s It is moved to maps/damaged, and its maps will be computed again.", error)
        self._index.write("DELETE FROM files WHERE path = ?", path)
        map_files.set_aside(self.folder, path)


def _list(keys: Iterable[str]) -> str:
    return json.dumps(sorted(set(keys)))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
