"""LENS and rank correlations of all pairs of a stack of maps, against SciPy and plain ways to compute them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from typing import Any

import torch
from scipy.stats import kendalltau, rankdata
from torch import Tensor
from torch.nn.functional import max_pool2d

from sam_toolkit import ops
from sam_toolkit.bench.cases import Case, Contestant, compare
from sam_toolkit.bench.records import OURS, Work
from sam_toolkit.bench.settings import Settings
from sam_toolkit.bench.timing import Stopwatch
from sam_toolkit.metrics.growing_sets import Sets
from sam_toolkit.metrics.lens import LensPrecision, LensRecall
from sam_toolkit.metrics.top_k import TopKIntersection, TopKMetric
from sam_toolkit.reports.wording import counted

_K, _WINDOWS = 1000, (1, 2, 3)
_PEER_MAPS = 2


@dataclass(frozen=True)
class _Stack:
    """Maps `[K, H, W]`, all their pairs, and how many pixels are compared."""

    maps: Tensor
    pairs: Tensor
    k: int

    @property
    def size(self) -> tuple[int, int]:
        return self.maps.shape[1], self.maps.shape[2]

    @property
    def rows(self) -> Tensor:
        return self.maps.flatten(1)

    def first(self, pairs: int) -> _Stack:
        """Return the stack with so many of its pairs."""
        return _Stack(self.maps, self.pairs[:pairs], self.k)

    def metrics(self, diverse: bool) -> list[TopKMetric]:  # type: ignore[type-arg]
        """Return the family, each metric with all its windows."""
        kinds: tuple[type[TopKMetric], ...] = (TopKIntersection, LensRecall, LensPrecision)  # type: ignore[type-arg]
        return [kind(k=self.k, w=list(_WINDOWS), diverse=diverse) for kind in kinds]

    @cached_property
    def order(self) -> Tensor:
        return ops.descending_order(self.rows)

    def prepare(self, diverse: bool) -> list[Any]:
        """Return what each metric of the family computes of every map."""
        return [metric.prepare(self.maps[:, None], metric.grid.settings) for metric in self.metrics(diverse)]

    def family(self, prepared: dict[bool, list[Any]]) -> Tensor:
        """Return all values of the family `[metrics x windows, P]`."""
        found = [
            metric.compare(own, self.pairs, metric.grid.settings).values[..., 0]
            for diverse, each in prepared.items()
            for metric, own in zip(self.metrics(diverse), each, strict=True)
        ]
        return torch.cat(found)


def cases(settings: Settings, threads: int, stopwatch: Stopwatch) -> Iterator[Case]:
    """Give the cases for each number, size and type of maps; what takes long has few maps or pairs."""
    for size, dtype, count in product(settings.sizes, settings.dtypes, settings.maps):
        generator = torch.Generator().manual_seed(0)
        noise = torch.rand(count + 1, size, size, generator=generator)
        maps = (0.5 * noise[:1] + 0.5 * noise[1:]).to(device=settings.device, dtype=getattr(torch, dtype))
        stack = _Stack(maps, torch.combinations(torch.arange(count)), min(_K, max(1, size * size // 8)))
        where = f"{count} maps of {size} x {size}, {dtype}, {counted(threads, 'thread')}"
        yield _ranks(f"Ranks of {where}", stack)
        yield _preparation(f"Neighbourhoods, from the ranks on, k={stack.k}, w=1 to 3, of {where}", stack)
        for window in _WINDOWS:
            yield _diverse(f"Diverse sets, k={stack.k}, w={window}, of {where}", stack, window)
        yield _family(f"Top-k family, k={stack.k}, w=1 to 3, of all pairs of {where}", stack, settings.peer_pairs)
        yield _kendall(f"Kendall's tau of all pairs of {where}", stack, settings.peer_pairs)


def _ranks(title: str, stack: _Stack) -> Case:
    work = Work(units=len(stack.maps))
    ours = partial(ops.average_ranks, stack.rows)

    def scipy() -> Tensor:
        return torch.from_numpy(rankdata(stack.rows.cpu().numpy(), axis=-1))

    case = Case(title, "map", Contestant(OURS, ours, work))
    case.peers.append(Contestant("scipy.stats.rankdata", scipy, work, "", compare(scipy(), ours(), "ours")))
    plain = partial(torch.sort, stack.rows, dim=-1, descending=True, stable=True)
    note = "the order alone, without ranks"
    case.peers.append(Contestant("torch.sort, stable", lambda: plain().indices, work, note))
    return case


def _preparation(title: str, stack: _Stack) -> Case:
    work = Work(units=len(stack.maps))

    def ours() -> Tensor:
        sets = Sets.of(stack.maps[:, None], [stack.k])
        return torch.stack([sets.growing(0, window).reach for window in _WINDOWS])[:, 0] < stack.k

    def plain() -> Tensor:
        masks = _masks(stack.rows, stack.k).reshape(-1, 1, *stack.size)
        return torch.stack([max_pool2d(masks, 2 * w + 1, 1, w).flatten(1) > 0 for w in _WINDOWS])

    agreement = compare(plain().float(), ours().float(), "ours")
    peer = Contestant(
        "torch.sort and max-pool", plain, work, "for this k alone; ours is for every smaller one", agreement
    )
    return Case(title, "map", Contestant(OURS, ours, work), "Ranks are part of it.", [peer])


def _masks(rows: Tensor, k: int) -> Tensor:
    order = torch.sort(rows, dim=-1, descending=True, stable=True).indices
    return torch.zeros(rows.shape, device=rows.device).scatter(1, order[:, :k], 1.0)


def _diverse(title: str, stack: _Stack, window: int) -> Case:
    ours = partial(ops.diverse_picks, stack.order, stack.size, window, stack.k)
    few = stack.order[:_PEER_MAPS]
    peer = partial(_scans, few, stack.size, window, stack.k)
    agreement = compare(peer(), ours()[:_PEER_MAPS], "ours")
    note = f"{len(few)} of the maps, one by one"
    scan = Contestant("torch, pick by pick", peer, Work(units=len(few)), note, agreement)
    return Case(title, "map", Contestant(OURS, ours, Work(units=len(stack.maps))), "From the order on.", [scan])


def _scans(orders: Tensor, size: tuple[int, int], window: int, count: int) -> Tensor:
    """Return the picks of the greedy scan, which jumps from one free pixel to the next."""
    found = torch.full((len(orders), count), -1, dtype=torch.int32)
    for row, order in zip(found, orders.tolist(), strict=True):
        taken = torch.zeros(size, dtype=torch.bool)
        kept = 0
        for pixel in order:
            y, x = divmod(pixel, size[1])
            if kept == count:
                break
            if not taken[y, x]:
                row[kept] = pixel
                kept += 1
                taken[max(y - window, 0) : y + window + 1, max(x - window, 0) : x + window + 1] = True
    return found


def _family(title: str, stack: _Stack, peer_pairs: int) -> Case:
    prepared = {diverse: stack.prepare(diverse) for diverse in (False, True)}
    few = stack.first(peer_pairs)
    plain = _masks(stack.rows, stack.k)
    near = [max_pool2d(plain.reshape(-1, 1, *stack.size), 2 * w + 1, 1, w).flatten(1) for w in _WINDOWS]
    peer = partial(_by_masks, plain, near, few)
    values = len(few.family(prepared))
    about = f"From the prepared maps on: {values} values a pair, plain and diverse, each with its chance level."
    case = Case(title, "pair", Contestant(OURS, partial(stack.family, prepared), Work(units=len(stack.pairs))), about)
    note = f"{len(few.pairs)} pairs, from the masks on; recall and precision of plain sets alone"
    recall = few.family({False: prepared[False]})[len(_WINDOWS) :]
    agreement = compare(peer(), recall, "ours")
    case.peers.append(Contestant("torch, max-pool", peer, Work(units=len(few.pairs)), note, agreement))
    return case


def _by_masks(plain: Tensor, near: list[Tensor], stack: _Stack) -> Tensor:
    """Return recall, then precision, for each window `[2 x windows, P]`, from the masks of sets and of what is near."""
    a, b = stack.pairs.unbind(1)
    shares = [[(each[i] * plain[j]).sum(1) for each in near] for i, j in ((a, b), (b, a))]
    return torch.cat([torch.stack(each) for each in shares]) / stack.k


def _kendall(title: str, stack: _Stack, peer_pairs: int) -> Case:
    few = stack.first(peer_pairs)
    rows = stack.rows.cpu().numpy()

    def scipy() -> Tensor:
        return torch.tensor([float(kendalltau(rows[i], rows[j]).statistic) for i, j in few.pairs.tolist()])

    work = Work(units=len(stack.pairs))
    case = Case(title, "pair", Contestant(OURS, partial(ops.kendall, stack.rows, stack.pairs), work))
    agreement = compare(scipy(), ops.kendall(stack.rows, few.pairs), "ours")
    note = f"{len(few.pairs)} pairs, one by one"
    case.peers.append(Contestant("scipy.stats.kendalltau", scipy, Work(units=len(few.pairs)), note, agreement))
    return case
