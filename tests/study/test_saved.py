"""Results as files."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from reports.factory import results

from sam_toolkit.errors import StoreError
from sam_toolkit.study.saved import RESULTS, STRIPS, load, save, to_json


@pytest.fixture
def found():
    """Results of two models that were shown the same photographs, as one tensor."""
    one, two = (results(models=(name,), images=3, undefined=frozenset({1})) for name in ("net", "twin"))
    strips = [replace(strip, photo=first.photo) for strip, first in zip(two.strips, one.strips, strict=True)]
    return replace(one, strips=(*one.strips, *strips))


def test_results_come_back_as_they_were(found, tmp_path) -> None:
    save(found, tmp_path)
    again = load(tmp_path)
    assert to_json(again) == to_json(found)
    assert [replace(strip, photo=0, maps=0) for strip in again.strips] == [
        replace(strip, photo=0, maps=0) for strip in found.strips
    ]
    for old, new in zip(found.strips, again.strips, strict=True):
        assert torch.equal(old.photo, new.photo)
        assert torch.equal(old.maps, new.maps)


def test_what_is_undefined_stays_so_in_json_that_others_can_read(found, tmp_path) -> None:
    save(found, tmp_path)

    def refused(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    json.loads((tmp_path / RESULTS).read_text(encoding="utf-8"), parse_constant=refused)
    assert any(math.isnan(row.score) for row in found.rows)
    assert [math.isnan(row.score) for row in load(tmp_path).rows] == [math.isnan(row.score) for row in found.rows]


def test_a_folder_without_results_says_how_to_get_them(tmp_path) -> None:
    with pytest.raises(StoreError, match=r"holds no finished results.*sam-toolkit run"):
        load(tmp_path)


@pytest.mark.parametrize("name", [RESULTS, STRIPS])
def test_damaged_results_are_told_apart_from_missing_ones(found, tmp_path, name) -> None:
    save(found, tmp_path)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="are damaged"):
        load(tmp_path)
