"""What is held at once does not grow with settings or positions, but for the maps themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from nets import colour_batch, colour_model
from study.held import Held

from sam_toolkit.component import Method
from sam_toolkit.methods import Lime, SlidingPatch, SmoothGrad
from sam_toolkit.rng import Rng

BATCH = colour_batch(1)
MAP = 4 * 32 * 32
CHUNK = 16


def held(
    method: type[Method[Any]], settings: Sequence[Any], incremental: bool = False, chunk: int = CHUNK
) -> tuple[int, int]:
    """Return the most bytes held at once and the network rows."""
    model = colour_model(chunk=chunk)
    model.incremental = incremental
    with Held() as counter:
        method().maps(model, BATCH, settings, Rng(7).child(method.name))
    return counter.peak, model.counted.forward


def test_what_is_held_is_counted() -> None:
    with Held() as counter:
        kept = torch.zeros(100, dtype=torch.float64)
        torch.ones(1000, dtype=torch.float64).sum()
        view = kept.view(10, 10)
    assert counter.peak == 8 * (100 + 1000 + 1)
    assert counter.now == 800
    del kept, view
    assert counter.now == 0


@pytest.mark.parametrize("incremental", [False, True])
def test_positions_hold_nothing_but_their_scores(incremental: bool) -> None:
    few, many = (
        held(SlidingPatch, [SlidingPatch.setting(patch=9, stride=stride)], incremental, chunk=2) for stride in (4, 1)
    )
    positions = many[1] - few[1]
    assert positions > 500
    assert many[0] - few[0] < 200 * positions  # boxes and scores, where an image has 12,288 bytes


def test_fewer_samples_hold_their_maps_only() -> None:
    alone, together = (
        held(SmoothGrad, [SmoothGrad.setting(samples=samples) for samples in range(40 - count, 40)])
        for count in (1, 20)
    )
    assert alone[1] == together[1] == 39
    assert together[0] - alone[0] <= 19 * MAP


def test_more_samples_hold_nothing_more() -> None:
    few, many = (held(SmoothGrad, [SmoothGrad.setting(samples=samples)]) for samples in (3 * CHUNK, 30 * CHUNK))
    assert many[1] == 10 * few[1]
    assert many[0] - few[0] < MAP


def test_more_copies_of_lime_hold_what_they_keep_only() -> None:
    few, many = (held(Lime, [Lime.setting(samples=samples, segments=16, sigma=1)]) for samples in (50, 500))
    assert many[1] == 10 * few[1]
    per_copy = (many[0] - few[0]) / 450
    assert per_copy < 32 * 32  # bytes, where an image has 12,288
