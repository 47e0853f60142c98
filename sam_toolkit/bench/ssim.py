"""SSIM of all pairs of a stack of maps: ours, other libraries, plain PyTorch, and stacks of growing size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product

import torch
from torch import Tensor

from sam_toolkit import ops
from sam_toolkit.bench import plain_ssim
from sam_toolkit.bench.cases import Case, Contestant, SkipPeer, compare
from sam_toolkit.bench.plain_ssim import Window
from sam_toolkit.bench.records import OURS, Work
from sam_toolkit.bench.settings import Settings
from sam_toolkit.bench.ssim_peers import PEERS, PairPeer, PairScore
from sam_toolkit.bench.timing import Stopwatch
from sam_toolkit.reports.wording import counted

_BATCHES = {"cpu": (1, 2, 4, 8, 16, 32), "cuda": (16, 64, 256, 1024)}
_TRIED = 33  # maps with which the batch of the cached form is chosen
_ABOUT = (
    "GB/s: bytes of the two maps of each pair. Peers get the same maps in [0, 1], no gradients, and the batch that was "
    "quickest; those without anything to share between pairs get {} of the pairs."
)


@dataclass(frozen=True)
class _Stack:
    """Maps `[K, H, W]` and all their pairs, or a sample of these."""

    maps: Tensor
    pairs: Tensor
    window: Window

    @property
    def work(self) -> Work:
        pair = 2 * self.maps[0].numel() * self.maps.element_size()
        return Work(units=len(self.pairs), bytes=pair * len(self.pairs))

    def sample(self, count: int) -> _Stack:
        """Return the stack with so many of its pairs, drawn at random and in their order."""
        drawn = torch.randperm(len(self.pairs), generator=torch.Generator().manual_seed(0))[:count]
        return _Stack(self.maps, self.pairs[drawn.sort().values], self.window)

    def ours(self) -> Tensor:
        """Return our similarities, `[P]`."""
        return ops.ssim(self.maps, self.pairs, self.window.side, self.window.gaussian, data_range=1.0)


def cases(settings: Settings, threads: int, stopwatch: Stopwatch) -> Iterator[Case]:
    """Give a case for each number of maps, and one in which it grows."""
    for size, dtype in product(settings.sizes, settings.dtypes):
        where = f"of {size} x {size}, {dtype}, {{}}, {counted(threads, 'thread')}"
        for name, count in product(settings.windows, settings.maps):
            stack = _stack(count, size, getattr(torch, dtype), Window(name), settings.device)
            title = f"SSIM of all pairs of {count} maps {where.format(stack.window.label)}"
            yield _against_peers(title, stack, settings.peer_pairs, stopwatch)
        stacks = [
            _stack(count, size, getattr(torch, dtype), Window(settings.windows[0]), settings.device)
            for count in settings.growth
        ]
        if stacks:
            yield _growing(f"SSIM of all pairs of ever more maps {where.format(stacks[0].window.label)}", stacks)


def _stack(count: int, size: int, dtype: torch.dtype, window: Window, device: str) -> _Stack:
    """Return maps that have half of each value in common, so that their similarities are neither 0 nor 1."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(count + 1, size, size, generator=generator)
    maps = (0.5 * noise[:1] + 0.5 * noise[1:]).to(device=device, dtype=dtype)
    return _Stack(maps, torch.combinations(torch.arange(count)), window)


def _growing(title: str, stacks: list[_Stack]) -> Case:
    def contestant(stack: _Stack) -> Contestant:
        return Contestant(f"{OURS}, {len(stack.maps)} maps", stack.ours, stack.work)

    first, *rest = map(contestant, stacks)
    return Case(title, "pair", first, "A time per pair that does not grow shows as 1.", [*rest])


def _against_peers(title: str, stack: _Stack, peer_pairs: int, stopwatch: Stopwatch) -> Case:
    sample = stack if stack.maps.is_cuda else stack.sample(peer_pairs)  # a GPU needs many pairs at once
    case = Case(title, "pair", Contestant(OURS, stack.ours, stack.work), _ABOUT.format(len(sample.pairs)))
    for peer in PEERS:
        case.invite(peer.name, partial(_peer, peer, sample, stopwatch))
    case.invite("plain torch, cached", partial(_cached, stack, stopwatch))
    return case


def _peer(peer: PairPeer, stack: _Stack, stopwatch: Stopwatch) -> Contestant:
    device = stack.maps.device.type
    score = peer.load(device, stack.window, stack.maps.dtype)
    expected = _expected(peer, stack)
    if peer.one_by_one:
        if stack.maps.dtype not in (torch.float32, torch.float64):
            raise SkipPeer("it knows no half precision")
        stack = _Stack(stack.maps.cpu(), stack.pairs, stack.window)
    batches = (1,) if peer.one_by_one else _batches(device, len(stack.pairs))
    tried = stack.sample(max(batches))
    batch = stopwatch.quickest({one: partial(_all, score, tried, one) for one in batches}) if batches[1:] else 1
    call = partial(_all, score, stack, batch)
    found = call()
    if peer.gpu_only:
        found, expected = found.mean(), expected.mean()
    note = "one CPU thread, pair by pair" if peer.one_by_one else f"batches of {batch}"
    agreement = compare(found, expected, peer.convention)
    return Contestant(peer.name, call, stack.work, note, agreement)


def _cached(stack: _Stack, stopwatch: Stopwatch) -> Contestant:
    way = partial(plain_ssim.cached, stack.window)
    batches = _batches(stack.maps.device.type, len(stack.maps) - 1)
    tried = stack.maps[:_TRIED]
    batch = stopwatch.quickest({one: partial(way, tried, one) for one in batches})
    call = partial(way, stack.maps, batch)
    note = f"batches of {batch}"
    return Contestant("plain torch, cached", call, stack.work, note, compare(call(), stack.ours(), "ours"))


def _batches(device: str, pairs: int) -> tuple[int, ...]:
    return tuple(sorted({min(batch, pairs) for batch in _BATCHES[device]}))


def _all(score: PairScore, stack: _Stack, batch: int) -> Tensor:
    """Return the similarities of all pairs, so many at a time."""
    batches = (rows.unbind(1) for rows in stack.pairs.to(stack.maps.device).split(batch))
    return torch.cat([score(_pick(stack.maps, i), _pick(stack.maps, j)) for i, j in batches])


def _pick(maps: Tensor, rows: Tensor) -> Tensor:
    """Return `[n, 1, H, W]`: these maps, a single one without a copy."""
    return maps[int(rows)][None, None] if len(rows) == 1 else maps[rows, None]


def _expected(peer: PairPeer, stack: _Stack) -> Tensor:
    """Return our similarities in the convention of a peer."""
    maps, convention = peer.same_as(stack.maps, stack.window)
    return ops.ssim(maps, stack.pairs, **convention)
