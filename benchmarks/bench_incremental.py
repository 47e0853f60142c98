"""Incremental occlusion against the same network dense, with batch norm folded and channels last, and against captum.

    python benchmarks/bench_incremental.py [--threads 1] [--rounds 3] [--captum] [network ...]

Each line: the saving that multiply-adds allow (dense work over what depends on a hidden pixel), the saving that the
batches of windows plan, the saving reached, its share of what is allowed; then, as parts of the logits' range, the
largest difference and the median effect of hiding a window; times, or why a network runs dense. With one thread, times
are the processor's, which other programs hardly disturb; with more they are the clock's. Weights are random (He et al.,
with statistics of batch norm near 1) but for EfficientNet-Lite0's.

With --captum, the map of `SlidingPatch` against that of captum's `Occlusion`, at the `perturbations_per_eval` that were
quickest on some windows just before; captum gets the network as a user has it. Maps are compared first.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from sam_toolkit import ops
from sam_toolkit.allocator import keep_buffers
from sam_toolkit.incremental import IncrementalOcclusion, Request, Saving, Window, saving
from sam_toolkit.incremental.kept import program_of
from sam_toolkit.incremental.tracing import NotTraced
from sam_toolkit.methods import SlidingPatch
from sam_toolkit.model import Model
from sam_toolkit.sources.efficientnet_lite import EfficientNetLite

NETWORKS = (
    "vgg16", "resnet50", "googlenet", "efficientnet-lite0", "alexnet", "resnet18", "resnext50_32x4d", "squeezenet1_1",
    "densenet121", "inception_v3", "mobilenet_v2", "mobilenet_v3_large", "shufflenet_v2_x1_0", "mnasnet1_0",
    "efficientnet_b0", "efficientnet_v2_s", "regnet_x_400mf", "regnet_y_400mf", "convnext_tiny", "vit_b_32", "swin_t",
    "maxvit_t",
)  # fmt: skip
SIZES = {"inception_v3": 299}
UNINITIALISED = ("googlenet", "inception_v3", "vgg16")
MOST_DIFFERENT = 1e-5
BATCHES = (1, 4, 16, 48)
"""Tried for captum's `perturbations_per_eval`."""


def network(name: str) -> nn.Module:
    """Return a network in evaluation mode whose logits depend on the image."""
    if name == "efficientnet-lite0":
        return EfficientNetLite().load(name).module
    torch.manual_seed(0)
    options = {"init_weights": False} if name in UNINITIALISED else {}
    net = torchvision.models.get_model(name, **options)
    for part in net.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, std=0.1)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
            nn.init.uniform_(part.weight, 0.5, 1.2)
            nn.init.normal_(part.bias, std=0.1)
    return net.eval()


def windows_of(size: int, patch: int, stride: int) -> list[Window]:
    starts = [*range(0, size - patch, stride), size - patch]
    return [(y, x, y + patch, x + patch) for y in starts for x in starts]


def dense_ways(net: nn.Module, shape: Sequence[int]) -> dict[str, Callable[[Tensor], Tensor]]:
    """Return the network dense: folded by PyTorch, and as the incremental program runs whole rows."""
    ways: dict[str, Callable[[Tensor], Tensor]] = {"as it is": net}
    try:
        ways["fused"] = fuse(net).to(memory_format=torch.channels_last).eval()
    except Exception as error:  # noqa: BLE001 - a network that cannot be traced is timed as it is
        print(f"  not fused: {error}", file=sys.stderr)
    try:
        program = program_of(net, tuple(shape))
    except NotTraced:
        return ways

    def whole(images: Tensor) -> Tensor:
        values = {program.image: images}
        for step in program.steps:
            values[step.node] = program.whole(step, values)
            for node in step.spent:
                values.pop(node, None)
        return values[program.result]

    return ways | {"program": whole}


def timed(call: Callable[[], Tensor]) -> tuple[float, Tensor]:
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    began = clock()
    result = call()
    return clock() - began, result


def compare(name: str, asked: argparse.Namespace) -> str:
    size, rows = SIZES.get(name, 224), asked.rows
    net, windows = network(name), windows_of(size, asked.patch, asked.stride)
    image = torch.randn(3, size, size, generator=torch.Generator().manual_seed(1))
    occlusion, work = IncrementalOcclusion(net), saving(net, (3, size, size), windows)
    if work.why_dense or not asked.rounds:
        planned = f"{work.dense / max(work.incremental, 1):.2f}"
        what = f"dense: {work.why_dense}" if work.why_dense else "incremental"
        return f"| {name} | {bound(work)} | {planned} | - | - | - | - | {what} |"
    sample = torch.linspace(0, len(windows) - 1, rows).long()
    boxes = torch.tensor([(0, *windows[int(number)]) for number in sample])
    base = image[None].contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        images = [ops.occlude(base, part) for part in boxes.split(16)]
        ways = dense_ways(net, (3, size, size))
        expected = torch.cat([net(part) for part in images])
        effect = float((expected - net(base)).abs().amax(dim=1).median())
        best = dict.fromkeys(ways, float("inf"))
        found, ours = torch.empty(0), float("inf")
        for _ in range(asked.rounds):
            for way, call in ways.items():
                seconds, _ = timed(lambda call=call: torch.cat([call(part) for part in images]))
                best[way] = min(best[way], seconds / rows)
            seconds, found = timed(lambda: run(occlusion, image, windows))
            ours = min(ours, seconds / len(windows))
    spread = float(expected.amax() - expected.amin())
    error = float((found[sample] - expected).abs().max()) / spread
    if error > MOST_DIFFERENT or effect < 1000 * error * spread:
        sys.exit(f"{name}: logits differ by {error:.1e} of their range, hiding changes {effect / spread:.1e} of it")
    way = min(best, key=lambda one: best[one])
    reached = best[way] / ours
    share = reached / (work.dense / work.least)
    return (
        f"| {name} | {bound(work)} | {work.dense / work.incremental:.2f} | {reached:.2f} | {share:.0%} | {error:.1e} | "
        f"{effect / spread:.1e} | incremental; {1e3 * ours:.1f} ms a row, dense ({way}) {1e3 * best[way]:.1f} |"
    )


def run(occlusion: IncrementalOcclusion, image: Tensor, windows: Sequence[Window]) -> Tensor:
    _, (hidden,) = occlusion.run(image[None], [Request(windows)], lambda logits, _: logits)
    return hidden[:, 0]


def bound(work: Saving) -> str:
    return f"{work.dense / work.least:.2f}" if work.least else "?"


def against_captum(name: str, asked: argparse.Namespace) -> str:
    from captum.attr import Occlusion  # noqa: PLC0415 - needed for this alone

    size, patch = SIZES.get(name, 224), asked.patch
    net = network(name)
    image = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    model, target = Model(net), int(net(image).argmax())
    method = SlidingPatch(patch=patch, stride=asked.stride, score="logit")

    def captum(batch: int, stride: int) -> Tensor:
        shape, steps = (3, patch, patch), (3, stride, stride)
        found: Tensor = Occlusion(net).attribute(image, shape, steps, target=target, perturbations_per_eval=batch)
        return found[:, 0]

    def ours() -> Tensor:
        return method(model, image, [target])

    captum(1, patch)
    tuned = min(BATCHES, key=lambda batch: timed(partial(captum, batch, patch))[0])
    maps, best = {}, {"captum": float("inf"), "ours": float("inf")}
    for _ in range(asked.rounds):
        for who, call in (("captum", partial(captum, tuned, asked.stride)), ("ours", ours)):
            seconds, maps[who] = timed(call)
            best[who] = min(best[who], seconds)
    error = float((maps["captum"] - maps["ours"]).abs().max() / maps["captum"].abs().max())
    if error > 1e-3:
        sys.exit(f"{name}: maps differ by {error:.1e} of their largest value")
    ratio = best["captum"] / best["ours"]
    return f"| {name} | {ratio:.2f} | {best['captum']:.2f} s | {best['ours']:.2f} s | {tuned} | {error:.1e} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], prog=Path(__file__).name)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--patch", type=int, default=29)
    parser.add_argument("--stride", type=int, default=15, help="of 15, patches of 29 end with the images of 224")
    parser.add_argument("--rows", type=int, default=32, help="windows that dense networks are timed and compared on")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3, help="of which the best is taken, in turns; 0: no times")
    parser.add_argument("--captum", action="store_true", help="against captum instead")
    asked = parser.parse_args()
    keep_buffers()
    torch.set_num_threads(asked.threads)
    print(f"patch {asked.patch}, stride {asked.stride}, {asked.threads} threads, best of {asked.rounds}")
    if asked.captum:
        print("| network | ratio | captum | ours | perturbations_per_eval | maps differ by |")
        print("| --- | --- | --- | --- | --- | --- |")
    else:
        print("| network | bound | planned | reached | share | difference | effect | |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in asked.networks:
        print((against_captum if asked.captum else compare)(name, asked), flush=True)


if __name__ == "__main__":
    main()
