"""Small pieces of work side by side, each on one core: what is small keeps no two cores busy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Barrier
from typing import Protocol, TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


class Lanes(Protocol):
    """Starts a function on each item; the results are there when they are asked for."""

    def __call__(self, work: Callable[[Item], Result], items: Sequence[Item], /) -> list[Callable[[], Result]]:
        """Return what gives the result for each item."""
        ...


def in_turn(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Callable[[], Result]]:
    """Start nothing: each item waits until it is asked for."""
    return [partial(work, item) for item in items]


@contextmanager
def lanes(device: torch.device) -> Iterator[Lanes]:
    """Give a lane to each of PyTorch's threads where these are a CPU's; else each item waits until it is asked for."""
    count = torch.get_num_threads()
    if device.type != "cpu" or count == 1:
        yield in_turn
        return
    ready = Barrier(count + 1)
    with ThreadPoolExecutor(count) as pool:
        for _ in range(count):
            pool.submit(_alone, ready)
        ready.wait()
        torch.set_num_threads(count)  # what threads to come will have; those in the pool keep one
        yield partial(_side_by_side, pool)


def _side_by_side(
    pool: ThreadPoolExecutor, work: Callable[[Item], Result], items: Sequence[Item]
) -> list[Callable[[], Result]]:
    futures: list[Future[Result]] = [pool.submit(_without_gradients, work, item) for item in items]
    return [future.result for future in futures]


def _without_gradients(work: Callable[[Item], Result], item: Item) -> Result:
    with torch.no_grad():  # which is a thread's own
        return work(item)


def _alone(ready: Barrier) -> None:
    torch.set_num_threads(1)
    ready.wait()
