"""The tables of a store in SQLite, written by one process and read by any."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sam_toolkit.errors import StoreError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, checksum TEXT NOT NULL, size INTEGER NOT NULL,
    rows INTEGER NOT NULL, seconds REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS maps (
    key TEXT PRIMARY KEY, file INTEGER NOT NULL REFERENCES files ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS maps_of_file ON maps (file);
CREATE TABLE IF NOT EXISTS scores (key TEXT PRIMARY KEY, value REAL, extras TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failures (key TEXT PRIMARY KEY, label TEXT NOT NULL, error TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, started TEXT NOT NULL, finished TEXT, status TEXT NOT NULL,
    provenance TEXT NOT NULL, cost TEXT NOT NULL
);
"""
_SECONDS_TO_WAIT = 30.0


class Index:
    """A connection to a store's tables; SQLite's errors are raised as StoreErrors that say what to do."""

    def __init__(self, path: Path, *, write: bool) -> None:
        """Open the tables at `path`: to write, made where missing and checked, or to read what is there."""
        self._path = path
        self._connection = self._connect(write)
        if write:
            try:
                self._prepare()
            except BaseException:
                self.close()
                raise

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with self._told():
            return self._connection.execute(statement, values).fetchall()

    def write(self, statement: str, *values: object) -> int:
        """Carry out one statement and return the id of the row it inserted, if it did."""
        with self._told():
            return self._connection.execute(statement, values).lastrowid or 0

    def write_all(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Carry out one statement for each row."""
        with self._told():
            self._connection.executemany(statement, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all statements in the block one step: kept for good at its end, undone where it raises."""
        self.write("BEGIN IMMEDIATE")
        try:
            yield
            self.write("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self.write("ROLLBACK")
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _connect(self, write: bool) -> sqlite3.Connection:
        address = f"{self._path.resolve().as_uri()}?mode={'rwc' if write else 'ro'}"
        with self._told():
            return sqlite3.connect(address, uri=True, timeout=_SECONDS_TO_WAIT, isolation_level=None)

    def _prepare(self) -> None:
        with self._told():
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.executescript(_SCHEMA)
            found = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise self._damaged(found)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"The index {self._path} cannot be used: {error}. See that it is there, that the disk has "
                "room, and that no other program holds it; then try again. Nothing stored before is lost."
            ) from error
        except sqlite3.DatabaseError as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, what: str) -> StoreError:
        name = self._path.name
        return StoreError(
            f"The index {self._path} is damaged ({what}). Move {name}, {name}-wal and {name}-shm elsewhere "
            "and run the study again: maps are taken over from their files, only scores are computed anew."
        )
