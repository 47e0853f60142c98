"""What a store promises when it is opened: nothing acknowledged is lost, and it stands in nobody's way."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch
from stored import change_header, cut_short, flip_last_byte, keys_of, maps_of, written

from sam_toolkit.errors import StoreError
from sam_toolkit.study.map_files import DamagedMapsError
from sam_toolkit.study.records import Cost, Score
from sam_toolkit.study.store import Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with Store.open(folder) as opened:
        yield opened


# Opening


def test_whole_files_that_nobody_recorded_are_taken_over(folder: Path) -> None:
    with Store.open(folder) as store:
        store.fail("gradient", keys_of(1), "out of memory")
        written(folder, 1)
    with Store.open(folder) as store:
        assert torch.equal(store.maps(keys_of(1)), maps_of(1))
        assert store.failures() == ()
        assert store.cost(keys_of(1)) == Cost(0, 0.0)


@pytest.mark.parametrize("damage", [flip_last_byte, cut_short, change_header])
def test_damaged_files_are_not_taken_over(folder: Path, damage: Callable[[Path], None]) -> None:
    with Store.open(folder):
        file = written(folder, 1)
    damage(folder / file.path)
    with Store.open(folder) as store:
        assert store.known(keys_of(1)) == set()
    assert not (folder / file.path).exists()
    assert (folder / "maps" / "damaged" / Path(file.path).name).exists()


def test_half_written_files_are_swept(folder: Path) -> None:
    with Store.open(folder):
        file = written(folder, 1)
    left = (folder / file.path).with_name("x.safetensors.12.ab.tmp")
    left.write_bytes(b"half")
    Store.open(folder).close()
    assert not left.exists()
    assert (folder / file.path).exists()


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(StoreError, match="not empty and no store"):
        Store.open(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(StoreError, match="is a file"):
        Store.open(tmp_path / "thesis.tex")


def test_a_store_killed_while_it_was_made_can_be_made_again(folder: Path) -> None:
    folder.mkdir()
    (folder / "store.json.12.ab.tmp").write_text("{")
    Store.open(folder).close()


@pytest.mark.parametrize("opening", [lambda folder: Store.open(folder, create=False), Store.read])
def test_a_folder_that_is_no_store_is_named(tmp_path: Path, opening: Callable[[Path], Store]) -> None:
    with pytest.raises(StoreError, match=f"{tmp_path} is no store"):
        opening(tmp_path)


def test_a_newer_format_is_refused_with_the_version_that_wrote_it(folder: Path) -> None:
    Store.open(folder).close()
    (folder / "store.json").write_text(json.dumps({"format": 2, "sam_toolkit": "9.1"}))
    with pytest.raises(StoreError, match=r"format 2, written by sam_toolkit 9\.1"):
        Store.open(folder)


@pytest.mark.parametrize("text", ["", "[]", '{"format": "x", "sam_toolkit": "1"}'])
def test_a_mark_that_cannot_be_read_says_what_to_do(folder: Path, text: str) -> None:
    Store.open(folder).close()
    (folder / "store.json").write_text(text)
    with pytest.raises(StoreError, match=r"write that and try again") as caught:
        Store.open(folder)
    (folder / "store.json").write_text(str(caught.value).split("the text ")[1].split(" there;")[0])
    Store.open(folder).close()


def test_a_damaged_index_says_what_to_do_and_that_brings_the_maps_back(folder: Path) -> None:
    with Store.open(folder) as store:
        store.record(written(folder, 1))
    path = folder / "index.sqlite"
    path.write_bytes(b"\0" * 100 + path.read_bytes()[100:])
    with pytest.raises(StoreError, match=r"is damaged .*Move index\.sqlite"):
        Store.open(folder)
    path.rename(folder.parent / "damaged.sqlite")
    with Store.open(folder) as store:
        assert torch.equal(store.maps(keys_of(1)), maps_of(1))


def test_a_damaged_page_of_the_index_is_found_when_it_is_opened(folder: Path) -> None:
    with Store.open(folder) as store:
        store.add_scores([Score(f"{number:032x}", 0.5) for number in range(2000)])
    path = folder / "index.sqlite"
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = os.urandom(len(data) - len(data) // 2)
    path.write_bytes(data)
    with pytest.raises(StoreError, match="is damaged"):
        Store.open(folder)


def test_a_second_driver_is_told_which_process_writes(store: Store) -> None:
    with pytest.raises(StoreError, match=f"being written by process {os.getpid()} on "):
        Store.open(store.folder)
    store.close()
    store.close()
    Store.open(store.folder).close()


def test_a_failed_opening_lets_go_of_the_lock(folder: Path) -> None:
    Store.open(folder).close()
    kept = (folder / "index.sqlite").read_bytes()
    (folder / "index.sqlite").write_bytes(b"no database, but long enough to be taken for one" * 30)
    for _ in range(2):
        with pytest.raises(StoreError, match="is damaged"):
            Store.open(folder)
    (folder / "index.sqlite").write_bytes(kept)
    Store.open(folder).close()


def test_the_lock_of_a_killed_driver_is_no_obstacle(folder: Path) -> None:
    ready, driver = start(hold, folder)
    try:
        assert ready.recv() == "open"
        with pytest.raises(StoreError, match=f"process {driver.pid} on "):
            Store.open(folder)
        assert driver.pid is not None
        os.kill(driver.pid, signal.SIGKILL)
    finally:
        driver.kill()
        driver.join()
    with Store.open(folder) as store:
        assert [run.status for run in store.runs()] == ["killed"]


# Reading beside a writer


def test_a_store_can_be_read_while_it_is_written(store: Store) -> None:
    with Store.read(store.folder) as reader:
        store.record(written(store.folder, 1))
        store.add_scores([Score("a", 1.0)])
        assert torch.equal(reader.maps(keys_of(1)), maps_of(1))
        with store._index.transaction():
            store._index.write("DELETE FROM scores")
            assert set(reader.scores(["a"])) == {"a"}
        assert reader.scores(["a"]) == {}


def test_a_reader_changes_nothing(store: Store) -> None:
    file = written(store.folder, 1)
    store.record(file)
    flip_last_byte(store.folder / file.path)
    with Store.read(store.folder) as reader:
        with pytest.raises(DamagedMapsError, match="checksum differs"):
            reader.maps(keys_of(1))
        with pytest.raises(StoreError, match="cannot be used: attempt to write a readonly database"):
            reader.add_scores([Score("a", 1.0)])
    assert store.known(keys_of(1)) == set(keys_of(1))


def test_a_process_of_its_own_reads_while_another_writes(folder: Path) -> None:
    acknowledged, writer = start(write_on, folder)
    try:
        assert acknowledged.recv() == 0
        for _ in range(20):
            with Store.read(folder) as reader:
                assert torch.equal(reader.maps(keys_of(0)), maps_of(0))
    finally:
        writer.kill()
        writer.join()


# Crash safety


def test_killed_at_any_moment_every_acknowledged_key_reads_back(folder: Path) -> None:
    delays = random.Random(0)
    acknowledged: set[int] = set()
    for _ in range(8):
        known = len(acknowledged)
        told, writer = start(write_on, folder, known)
        try:
            acknowledged.add(told.recv())
            time.sleep(delays.uniform(0.0, 0.25))
        finally:
            writer.kill()
            writer.join()
        while told.poll():
            try:
                acknowledged.add(told.recv())
            except EOFError:
                break
        with Store.open(folder) as store:
            keys = [key for task in sorted(acknowledged) for key in keys_of(task)]
            assert store.verify(keys) == set(keys)
            assert torch.equal(store.maps(keys), torch.cat([maps_of(task) for task in sorted(acknowledged)]))
            assert set(store.scores([str(task) for task in acknowledged])) == {str(task) for task in acknowledged}
            assert store._index.rows("PRAGMA integrity_check") == [("ok",)]
            recorded = {path for (path,) in store._index.rows("SELECT path FROM files")}
        there = {path.relative_to(folder).as_posix() for path in folder.glob("maps/*/*")}
        assert there == recorded, "every whole file is taken over, and nothing else is left"
    assert len(acknowledged) > 8


def hold(told: Connection, folder: Path) -> None:
    """Open a store, begin a run and do nothing more."""
    with Store.open(folder) as store:
        store.start_run({})
        told.send("open")
        signal.pause()


def write_on(told: Connection, folder: Path, task: int = 0) -> None:
    """Write, record and score one task after another, and tell of each that was acknowledged."""
    with Store.open(folder) as store:
        while True:
            store.record(written(folder, task))
            store.add_scores([Score(str(task), float(task))])
            told.send(task)
            task += 1


def start(target: Callable[..., None], *arguments: object) -> tuple[Connection, BaseProcess]:
    """Start a process that runs `target(pipe, *arguments)` at once: it shares this process's imports."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    return ours, process
