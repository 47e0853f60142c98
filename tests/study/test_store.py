"""What a store promises: it gives back what it was given, and notices damage."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from stored import HEADER, change_header, cut_short, flip_last_byte, keys_of, maps_of, written

from sam_toolkit.errors import StoreError
from sam_toolkit.study.map_files import DamagedMapsError, write_maps
from sam_toolkit.study.records import Cost, FailedTask, Score
from sam_toolkit.study.store import Store
from sam_toolkit.types import digest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with Store.open(folder) as opened:
        yield opened


# Maps


def test_maps_come_back_as_they_were_and_in_the_order_asked(store: Store) -> None:
    for task in (1, 2):
        store.record(written(store.folder, task))
    wanted = [keys_of(2)[1], keys_of(1)[0], keys_of(2)[0], keys_of(1)[0]]
    expected = torch.stack([maps_of(2)[1], maps_of(1)[0], maps_of(2)[0], maps_of(1)[0]])
    assert torch.equal(store.maps(wanted), expected)
    assert torch.equal(store.maps(wanted), expected), "the second reading takes another way"
    assert torch.equal(store.map(keys_of(1)[2]), maps_of(1)[2])


def test_maps_are_there_after_opening_again(folder: Path) -> None:
    with Store.open(folder) as store:
        store.record(written(folder, 1))
    with Store.open(folder, create=False) as store:
        assert store.verify(keys_of(1)) == set(keys_of(1))
        assert torch.equal(store.maps(keys_of(1)), maps_of(1))


def test_a_file_is_plain_safetensors_that_tells_what_made_it(store: Store) -> None:
    file = written(store.folder, 1)
    assert file.path == f"maps/{digest('task', '1')[:2]}/{digest('task', '1')}.safetensors"
    assert file.size == (store.folder / file.path).stat().st_size
    with safe_open(store.folder / file.path, "pt") as content:
        assert set(content.keys()) == set(keys_of(1))
        assert content.metadata() == {**HEADER, "checksum": file.checksum}


def test_maps_are_float32_whatever_they_came_as(store: Store) -> None:
    values = maps_of(1).double().transpose(1, 2).requires_grad_()
    store.record(write_maps(store.folder, "ab" * 16, keys_of(1), values, HEADER))
    assert torch.equal(store.maps(keys_of(1)), maps_of(1).transpose(1, 2))


def test_a_key_listed_twice_is_written_once(store: Store) -> None:
    file = write_maps(store.folder, "ab" * 16, ["k", "k"], torch.ones(2, 3, 3), HEADER)
    store.record(file)
    assert file.keys == ("k",)
    assert torch.equal(store.map("k"), torch.ones(3, 3))


def test_equal_maps_have_equal_checksums_and_others_do_not(folder: Path) -> None:
    first, again = written(folder, 1), written(folder / "other", 1)
    assert first.checksum == again.checksum
    maps = maps_of(1)
    changed = [
        write_maps(folder, "aa", keys_of(1), maps.transpose(1, 2).reshape(3, 5, 7), HEADER),
        write_maps(folder, "bb", keys_of(1), maps.reshape(3, 7, 5), HEADER),
        write_maps(folder, "cc", keys_of(2), maps, HEADER),
        write_maps(folder, "dd", keys_of(1), maps, {**HEADER, "seed": "1"}),
    ]
    assert len({first.checksum, *(file.checksum for file in changed)}) == 5


@pytest.mark.parametrize(("keys", "shape"), [(2, (3, 4, 4)), (0, (0, 4, 4)), (3, (3, 4))])
def test_maps_that_do_not_fit_their_keys_are_refused(folder: Path, keys: int, shape: tuple[int, ...]) -> None:
    with pytest.raises(StoreError, match="takes maps"):
        write_maps(folder, "ab", keys_of(1, keys), torch.zeros(shape), HEADER)
    assert not folder.exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "maps").write_text("in the way")
    with pytest.raises(StoreError, match=f"cannot be written to {tmp_path}"):
        written(tmp_path, 1)


def test_keys_are_known_only_when_recorded_and_there(store: Store) -> None:
    kept, lost = written(store.folder, 1), written(store.folder, 2)
    asked = [*keys_of(1), *keys_of(2), "unheard"]
    assert store.known(asked) == set()
    for file in (kept, lost):
        store.record(file)
    assert store.known(asked) == {*keys_of(1), *keys_of(2)}
    cut_short(store.folder / lost.path)
    assert store.known(asked) == set(keys_of(1))


def test_any_number_of_keys_can_be_asked_for(store: Store) -> None:
    store.record(written(store.folder, 1))
    assert store.known([*keys_of(1), *(f"unheard {n}" for n in range(100_000))]) == set(keys_of(1))


def test_a_key_that_is_not_there_is_named(store: Store) -> None:
    store.record(written(store.folder, 1))
    with pytest.raises(StoreError, match="lacks 1 of 2 maps, as unheard"):
        store.maps([keys_of(1)[0], "unheard"])
    assert store.maps([]).shape == (0, 0, 0)


def test_a_key_in_two_files_is_read_from_the_later_one(store: Store) -> None:
    for name, value in (("aa", 1.0), ("bb", 2.0)):
        store.record(write_maps(store.folder, name, ["shared", name], torch.full((2, 3, 3), value), HEADER))
    assert store.map("shared")[0, 0] == 2.0
    assert store.known(["shared", "aa", "bb"]) == {"shared", "aa", "bb"}


def test_a_file_written_again_replaces_its_row(store: Store) -> None:
    store.record(write_maps(store.folder, "aa", ["k"], torch.ones(1, 3, 3), HEADER), rows=1)
    assert store.map("k")[0, 0] == 1.0
    store.record(write_maps(store.folder, "aa", ["k"], torch.zeros(1, 3, 3), HEADER), rows=2)
    assert store.map("k")[0, 0] == 0.0
    assert store.cost(["k"]) == Cost(2, 0.0)


# Damage


@pytest.mark.parametrize("damage", [flip_last_byte, cut_short, change_header, Path.unlink])
def test_verify_drops_a_damaged_file_and_keeps_the_others(
    store: Store, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    files = [written(store.folder, task) for task in (1, 2)]
    for file in files:
        store.record(file)
    damage(store.folder / files[0].path)
    assert store.verify([*keys_of(1), *keys_of(2)]) == set(keys_of(2))
    assert files[0].path in caplog.text
    assert store.known(keys_of(1)) == set()
    aside = store.folder / "maps" / "damaged" / Path(files[0].path).name
    assert aside.exists() == (damage is not Path.unlink)
    store.record(written(store.folder, 1))
    assert store.verify(keys_of(1)) == set(keys_of(1))


def test_reading_a_damaged_file_names_it_and_drops_it(store: Store) -> None:
    file = written(store.folder, 1)
    store.record(file)
    flip_last_byte(store.folder / file.path)
    with pytest.raises(DamagedMapsError, match=f"{Path(file.path).name}.*Run the study again"):
        store.map(keys_of(1)[0])
    assert store.known(keys_of(1)) == set()


def test_a_file_cut_short_after_it_was_checked_is_noticed(store: Store) -> None:
    file = written(store.folder, 1)
    store.record(file)
    store.maps(keys_of(1))
    cut_short(store.folder / file.path)
    with pytest.raises(DamagedMapsError, match="cut short"):
        store.maps(keys_of(1))


# Scores, failures, runs


def test_scores_come_back_undefined_ones_too(store: Store) -> None:
    given = [
        Score("a", 0.25, {"chance": 0.1, "none": math.nan}),
        Score("b", math.nan),
        Score("c", math.inf),
    ]
    store.add_scores(iter(given))
    found = store.scores(["a", "b", "c", "d"])
    assert set(found) == {"a", "b", "c"}
    assert found["a"].value == 0.25
    assert found["a"].extras["chance"] == 0.1
    assert math.isnan(found["a"].extras["none"])
    assert [found[key].undefined for key in "abc"] == [False, True, False]
    assert math.isinf(found["c"].value)
    store.add_scores([Score("a", 0.5)])
    assert store.scores(["a"]) == {"a": Score("a", 0.5)}


def test_undefined_scores_are_null_for_sql(store: Store) -> None:
    store.add_scores([Score("a", math.nan, {"chance": math.nan}), Score("b", 1.0)])
    with sqlite3.connect(store.folder / "index.sqlite") as reader:
        rows = reader.execute("SELECT key, value IS NULL, json_extract(extras, '$.chance') FROM scores").fetchall()
    reader.close()
    assert rows == [("a", 1, None), ("b", 0, None)]


def test_scores_whose_making_fails_are_not_kept_in_part(store: Store) -> None:
    def making() -> Iterator[Score]:
        yield Score("a", 1.0)
        raise RuntimeError("the metric failed")

    with pytest.raises(RuntimeError, match="the metric failed"):
        store.add_scores(making())
    assert store.scores(["a"]) == {}


def test_scores_may_be_made_from_the_store_itself(store: Store) -> None:
    file = written(store.folder, 1)
    store.record(file)
    flip_last_byte(store.folder / file.path)

    def making() -> Iterator[Score]:
        yield Score("sum", float(store.verify(keys_of(1)) == set()))

    store.add_scores(making())
    assert store.scores(["sum"])["sum"].value == 1.0


def test_a_failure_is_kept_until_its_keys_are_recorded(store: Store) -> None:
    store.fail("gradient, one", keys_of(1), "out of memory")
    store.fail("gradient, two", keys_of(2), "out of memory")
    store.fail("gradient, two", keys_of(2), "not finite")
    assert store.failures() == (
        FailedTask("gradient, one", tuple(sorted(keys_of(1))), "out of memory"),
        FailedTask("gradient, two", tuple(sorted(keys_of(2))), "not finite"),
    )
    store.record(written(store.folder, 2))
    assert [failed.label for failed in store.failures()] == ["gradient, one"]


def test_cost_is_that_of_the_files_asked_for_each_once(store: Store) -> None:
    for task in (1, 2, 3):
        store.record(written(store.folder, task), rows=10**task, seconds=task / 4)
    assert store.cost([*keys_of(1), keys_of(3)[0], "unheard"]) == Cost(1010, 1.0)
    assert store.cost([]) == Cost(0, 0.0)


def test_runs_keep_what_they_were_made_of_and_how_they_ended(folder: Path) -> None:
    with Store.open(folder) as store:
        store.finish_run(store.start_run({"study": "seed: 1\n", "torch": "2"}), "done", {"rows": 7})
        store.start_run({"study": "seed: 2\n"})
        assert [run.status for run in store.runs()] == ["done", "running"]
    with Store.open(folder) as store:
        first, second = store.runs()
    assert first.provenance == {"study": "seed: 1\n", "torch": "2"}
    assert first.cost == {"rows": 7}
    assert first.finished is not None
    assert first.started <= first.finished
    assert (second.status, second.finished, second.cost) == ("killed", None, {})


def test_tensors_beside_maps_come_back_by_name_and_never_among_maps(store: Store) -> None:
    first, second = keys_of(1)[:2]
    values = torch.arange(3, dtype=torch.float64)
    beside = {f"{first}/values": values, f"{first}/parts": torch.tensor(7), f"{second}/values": values}
    store.record(write_maps(store.folder, "ab" * 16, keys_of(1), maps_of(1), HEADER, beside))
    for _ in range(2):
        found = store.beside([first, keys_of(1)[2]])
        assert {name: tensor.tolist() for name, tensor in found[first].items()} == {"values": [0, 1, 2], "parts": 7}
        assert list(found) == [first]
    assert torch.equal(store.maps(keys_of(1)), maps_of(1))
