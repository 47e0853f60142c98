"""Calls every CUDA operator on small odd shapes, for compute-sanitizer to watch; ends with 1 where one did not run."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from sam_toolkit import ops

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
LAYOUTS = (torch.contiguous_format, torch.channels_last)
SIDES = ((7, 7), (11, 43), (37, 33))  # the smallest window, less and more than a warp, nothing that 4 divides


def main() -> int:
    """Run every call and return the exit code."""
    ops.reset_calls()
    number = 0
    for number, call in enumerate(calls(), start=1):  # noqa: B007 - how many there were
        call()
    torch.cuda.synchronize()
    missing = [name for name, counts in ops.calls().items() if not counts["cuda"]]
    print(f"{number} calls; operators without a CUDA kernel that ran: {', '.join(missing) or 'none'}")
    return 1 if missing else 0


def calls() -> Iterator[Callable[[], object]]:
    """Give one call after the other."""
    for dtype, (height, width) in itertools.product(DTYPES, SIDES):
        maps = random(2, 5, height, width, dtype=dtype)
        pairs = torch.combinations(torch.arange(5), with_replacement=True)
        for window, gaussian in ((5, False), (7, False), (7, True)):
            yield partial(similarity, maps, pairs, window, gaussian)
        for layout, channels in itertools.product(LAYOUTS, (1, 3, 8)):
            images = random(2, channels, height, width, dtype=dtype).to(memory_format=layout)
            yield partial(occlusion, images)
        if dtype in {torch.float32, torch.float64}:
            boxes = all_boxes(2, height, width)
            scores = random(len(boxes), dtype=dtype)
            yield partial(ops.occlusion_map, scores, boxes, (3, height, width))
            apart = random(len(boxes), 3, dtype=dtype)[:, 1]
            yield partial(ops.occlusion_map, apart, boxes.flip(0), (2, height, width))


def similarity(maps: Tensor, pairs: Tensor, window: int, gaussian: bool) -> None:
    """Compare maps, with gradients."""
    for op in (ops.ssim, ops.ssim_map):
        varied = maps.detach().requires_grad_()
        op(varied, pairs, window, gaussian).sum().backward()


def occlusion(images: Tensor) -> None:
    """Hide boxes, and put patches into what windows show, over the border too."""
    count, channels, height, width = images.shape
    boxes = all_boxes(count, height, width)
    ops.occlude(images, boxes, 0.5)
    ops.occlude(images, boxes, images.flip(0))
    patches = random(len(boxes), channels, 3, 5, dtype=images.dtype)
    windows = torch.stack([boxes[:, 1] - 2, boxes[:, 2] - 3], dim=1)
    for size in ((6, 9), (height, width)):
        ops.assemble(images, boxes, patches, windows, size, -1.0)


def all_boxes(images: int, height: int, width: int) -> Tensor:
    """Return boxes of 3 x 5 at odd places, and at every corner, of each image."""
    rows, columns = sorted({*range(0, height - 3, 3), height - 3}), sorted({*range(0, width - 5, 5), width - 5})
    places = [[n, y, x, y + 3, x + 5] for n, y, x in itertools.product(range(images), rows, columns)]
    return torch.tensor(places)


def random(*shape: int, dtype: torch.dtype) -> Tensor:
    """Return numbers in [-1, 1) on the GPU."""
    return (torch.rand(shape, device="cuda") * 2 - 1).to(dtype)


if __name__ == "__main__":
    raise SystemExit(main())
