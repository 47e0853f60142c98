"""Occlusion: images with a patch hidden, windows of activations, and whole maps, against copying and against Captum."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import numpy as np
import torch
from torch import Tensor

from sam_toolkit import ops
from sam_toolkit.bench import plain_occlusion as plain
from sam_toolkit.bench.cases import Case, Contestant, SkipPeer, compare
from sam_toolkit.bench.occlusion_peers import PEERS, Pixels, Slide
from sam_toolkit.bench.records import OURS, Unit, Work
from sam_toolkit.bench.scenes import Scene, scene
from sam_toolkit.bench.settings import Settings
from sam_toolkit.bench.timing import Stopwatch
from sam_toolkit.reports.wording import counted

_BATCHES = (1, 2, 4, 8, 16, 32, 64)
_CHANNELS, _MARGIN = 64, 1
_COPY = "time of a copy: the share of its bandwidth that ours reaches; it writes as many bytes, into memory at hand."


def cases(settings: Settings, threads: int, stopwatch: Stopwatch) -> Iterator[Case]:
    """Give the cases of every operator for each size and dtype."""
    for size, dtype in product(settings.sizes, settings.dtypes):
        image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
        whole = scene(image.to(device=settings.device, dtype=getattr(torch, dtype)), settings.patch, settings.stride)
        patches = f"{len(whole.boxes)} patches of {settings.patch} in {size} x {size}"
        where = f"{patches}, {dtype}, {counted(threads, 'thread')}"
        yield _occlude(f"Hiding {where}", whole, 0.0)
        yield _occlude(f"Replacing, by a second image, {where}", whole, whole.image.flip(3).contiguous())
        yield _assemble(f"Windows of an activation, {where}", whole)
        yield _map(f"Map from the scores of {where}", whole)
        yield _sliding(f"Sliding a patch over an image, almost free model: {where}", whole, stopwatch)


def _occlude(title: str, seen: Scene, fill: float | Tensor) -> Case:
    case = _writing(title, "image", partial(ops.occlude, seen.image, seen.boxes, fill))
    _add_plain(case, "copy and assign", partial(plain.copy_and_assign, seen.image, seen.boxes, fill))
    masks = plain.masks(seen.boxes, seen.image)
    _add_plain(case, "where", partial(plain.where, seen.image, masks, fill), "masks made beforehand")
    return case


def _assemble(title: str, seen: Scene) -> Case:
    """Windows as the convolution after a changed patch reads them, with a margin, a few layers into a network."""
    side, stride = seen.image.shape[2] // 4, -(-seen.stride // 4)
    patch = min(-(-seen.patch // 2), side)
    generator = torch.Generator().manual_seed(0)
    base = torch.rand(1, _CHANNELS, side, side, generator=generator).to(seen.image)
    boxes = scene(base, patch, stride).boxes
    boxes = boxes[(boxes[:, 3:] - boxes[:, 1:3] == patch).all(dim=1)]
    patches = torch.rand(len(boxes), _CHANNELS, patch, patch, generator=generator).to(base)
    windows, size = boxes[:, 1:3] - _MARGIN, (patch + 2 * _MARGIN,) * 2
    case = _writing(title, "window", partial(ops.assemble, base, boxes, patches, windows, size))
    _add_plain(case, "gather and assign", partial(plain.assemble, base, patches, windows, _MARGIN))
    return case


def _writing(title: str, unit: Unit, call: Callable[[], Tensor]) -> Case:
    """Return a case in which ours writes a tensor `[P, ...]`, with copies of as many bytes."""
    result = call()
    work = Work(units=len(result), bytes=result.numel() * result.element_size())
    case = Case(title, unit, Contestant(OURS, call, work), _COPY)
    target = torch.empty_like(result)
    case.peers.append(Contestant("torch copy_", partial(target.copy_, result), work))
    case.invite("numpy copyto", partial(_numpy_copy, target, result, work))
    return case


def _add_plain(case: Case, name: str, way: Callable[[], Tensor], note: str = "") -> None:
    """Add what a user would write in PyTorch, compared with ours."""
    agreement = compare(way(), case.ours.call(), "ours")
    case.peers.append(Contestant(f"plain torch, {name}", way, case.ours.work, note, agreement))


def _numpy_copy(target: Tensor, source: Tensor, work: Work) -> Contestant:
    if target.device.type != "cpu":
        raise SkipPeer("it runs on CPUs only")
    arrays = target.numpy(), source.numpy()

    def copy() -> Tensor:
        np.copyto(*arrays)
        return target

    return Contestant("numpy copyto", copy, work, "one CPU thread")


def _map(title: str, seen: Scene) -> Case:
    scores = torch.rand(len(seen.boxes), generator=torch.Generator().manual_seed(0)).to(seen.image)
    size = (1, *seen.image.shape[2:])
    call = partial(ops.occlusion_map, scores, seen.boxes, size)
    case = Case(title, "score", Contestant(OURS, call, Work(units=len(scores))))
    _add_plain(case, "loop", partial(plain.map_by_loop, scores, seen.boxes, size))
    _add_plain(case, "matrix product", partial(plain.map_by_product, scores, seen.boxes, size))
    return case


def _sliding(title: str, seen: Scene, stopwatch: Stopwatch) -> Case:
    """All of sliding-patch occlusion, around a model that reads some pixels and does nothing else."""
    count = len(seen.boxes)
    work = Work(units=count, bytes=count * seen.image.numel() * seen.image.element_size())
    model = Pixels(seen.patch)
    expected = _slide(seen, model, count)

    def contestant(name: str, make: Callable[[], Slide]) -> Contestant:
        slide = make()
        batches = {min(batch, count) for batch in _BATCHES}
        batch = stopwatch.quickest({one: partial(slide, one) for one in sorted(batches)})
        model.rows = 0
        agreement = compare(slide(batch), expected, "ours")
        return Contestant(name, partial(slide, batch), work, f"batches of {batch}, {model.rows} model rows", agreement)

    ours = contestant(OURS, lambda: partial(_slide, seen, model))
    case = Case(title, "image", ours, "GB/s: bytes of the images that the model gets. Each has its quickest batch.")
    for name, load in PEERS.items():
        case.invite(name, partial(contestant, name, partial(load, seen, model)))
    return case


def _slide(seen: Scene, model: Pixels, batch: int) -> Tensor:
    """Return the map `[1, H, W]` of how much the score falls where a patch hides it."""
    scores = torch.cat([model(ops.occlude(seen.image, boxes))[:, 0] for boxes in seen.boxes.split(batch)])
    return ops.occlusion_map(model(seen.image)[0] - scores, seen.boxes, (1, *seen.image.shape[2:]))
