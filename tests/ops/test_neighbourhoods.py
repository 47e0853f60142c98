"""Diverse picks, reaches and overlaps against brute force over sets of pixels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sam_toolkit import ops
from sam_toolkit.errors import OpError

SIZES = [(1, 1), (1, 9), (7, 1), (5, 8), (9, 6)]


def orders(count: int, size: tuple[int, int]) -> Tensor:
    generator = torch.Generator().manual_seed(size[0])
    pixels = size[0] * size[1]
    return torch.stack([torch.randperm(pixels, generator=generator) for _ in range(count)]).int()


def near(one: int, other: int, width: int, window: int) -> bool:
    down, across = abs(one // width - other // width), abs(one % width - other % width)
    return max(down, across) <= window


def greedy(order: list[int], width: int, window: int) -> list[int]:
    kept: list[int] = []
    for pixel in order:
        if not any(near(pixel, other, width, window) for other in kept):
            kept.append(pixel)
    return kept


@pytest.mark.parametrize("window", [0, 1, 2, 3, 20])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_picks_are_those_of_the_greedy_scan(backend: str, size: tuple[int, int], window: int) -> None:
    order = orders(4, size)
    for count in (0, 1, 3, size[0] * size[1]):
        found = ops.diverse_picks(order, size, window, count)
        for row, own in zip(found.tolist(), order.tolist(), strict=True):
            expected = greedy(own, size[1], window)[:count]
            assert row == expected + [-1] * (count - len(expected))


@pytest.mark.parametrize("window", [0, 1, 2, 3, 20])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_reach_is_the_place_of_the_first_pick_within_the_window(
    backend: str, size: tuple[int, int], window: int
) -> None:
    picks = orders(3, size)[:, : (size[0] * size[1] + 1) // 2]
    picks[0, 0] = -1
    found = ops.reach(picks, size, window)
    for row, own in zip(found.tolist(), picks.tolist(), strict=True):
        for pixel, place in enumerate(row):
            within = [i for i, pick in enumerate(own) if pick >= 0 and near(pixel, pick, size[1], window)]
            assert place == min(within, default=len(own))


@pytest.mark.parametrize("window", [0, 1, 3])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_overlaps_count_the_picks_of_one_map_near_those_of_another(
    backend: str, size: tuple[int, int], window: int
) -> None:
    pixels = size[0] * size[1]
    picks = orders(6, size)
    picks[2, pixels // 2 :] = -1
    reach = ops.reach(picks, size, window).reshape(2, 3, -1)
    pairs = torch.ones(3, 3).nonzero()
    by_image = picks.reshape(2, 3, -1)
    for counts in ([pixels], [0, 1, pixels // 2], list(range(pixels + 1)), [pixels, 0] * 5):
        found = ops.overlaps(reach, by_image, pairs, counts)
        for image in range(2):
            for p, (a, b) in enumerate(pairs.tolist()):
                first, second = by_image[image, a].tolist(), by_image[image, b].tolist()
                expected = [
                    sum(
                        pick >= 0 and any(o >= 0 and near(pick, o, size[1], window) for o in first[:count])
                        for pick in second[:count]
                    )
                    for count in counts
                ]
                assert found[image, p].tolist() == expected


def test_the_compiled_operators_meet_the_rules_of_pytorch(compiled: None) -> None:
    order = orders(4, (5, 8))
    picks = ops.diverse_picks(order, (5, 8), 1, 9)
    reach = ops.reach(picks, (5, 8), 2)
    pairs = torch.tensor([[0, 1], [2, 2]])
    torch.library.opcheck(torch.ops.sam_toolkit.diverse_picks.default, (order, 5, 8, 1, 9))
    torch.library.opcheck(torch.ops.sam_toolkit.reach.default, (picks, 5, 8, 2))
    arguments = (reach.reshape(1, 4, -1), picks.reshape(1, 4, -1), pairs, [0, 9])
    torch.library.opcheck(torch.ops.sam_toolkit.overlaps.default, arguments)


def test_one_thread_and_many_give_the_same(compiled: None, restored_threads: None) -> None:
    order, found = orders(40, (9, 6)), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        picks = ops.diverse_picks(order, (9, 6), 1, 12)
        reach = ops.reach(picks, (9, 6), 1)
        found.append(ops.overlaps(reach[None], picks[None], torch.ones(40, 40).nonzero(), [5, 12]))
    assert torch.equal(found[0], found[1])


ORDER = torch.arange(6, dtype=torch.int32)[None]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.diverse_picks(ORDER.long(), (2, 3), 1, 2), r"order must be int32 \[\.\.\., m\]; got int64"),
        (lambda: ops.diverse_picks(ORDER, (2, 2), 1, 2), r"order must be pixels of a map of 2 x 2; got 0 to 5"),
        (lambda: ops.diverse_picks(ORDER, (2, 3), -1, 2), r"window must be 0 or more pixels to each side; got -1"),
        (lambda: ops.diverse_picks(ORDER, (2, 3), 1, -2), r"count must not be negative; got -2"),
        (lambda: ops.reach(ORDER - 2, (2, 3), 1), r"pixels of a map of 2 x 3, or -1; got -2 to 3"),
        (lambda: ops.reach(ORDER, (0, 3), 1), r"a map must have a pixel; got 0 x 3"),
        (
            lambda: ops.overlaps(ORDER[None], ORDER[None], torch.tensor([[0, 0]]), [7]),
            r"each count must be from 0 to the 6 picks; got \[7\]",
        ),
        (
            lambda: ops.overlaps(ORDER, ORDER[None], torch.tensor([[0, 0]]), [1]),
            r"reach must be int32 \[B, K, n\] for picks \[B, K, m\]; got int32 \[1, 6\]",
        ),
    ],
)
def test_wrong_arguments_are_named(call, message) -> None:
    with pytest.raises(OpError, match=message):
        call()


def test_past_the_wrappers_the_kernels_read_nothing_outside(compiled: None) -> None:
    op = torch.ops.sam_toolkit
    with pytest.raises(RuntimeError, match=r"order must .* hold pixels of the map; got 4 for 4 pixels"):
        op.diverse_picks(ORDER, 2, 2, 1, 3)
    with pytest.raises(RuntimeError, match="reach: the window must reach 0 pixels or more; got -1"):
        op.reach(ORDER, 2, 3, -1)
    with pytest.raises(RuntimeError, match="overlaps: counts must be within the picks; got 9 of 6"):
        op.overlaps(ORDER[None], ORDER[None], torch.tensor([[0, 0]]), [9])
