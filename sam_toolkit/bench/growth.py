"""How the cost of a study grows with settings, positions, images, the size of maps, and what is compared."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from sam_toolkit.bench.growth_settings import AXES, QUICK, Point
from sam_toolkit.bench.sides import Clock, alone, memory
from sam_toolkit.bench.study_records import Growth, Step
from sam_toolkit.images import Photo
from sam_toolkit.model import Model
from sam_toolkit.registry import default_registry
from sam_toolkit.study.execute import run_study
from sam_toolkit.study.plan import Plan
from sam_toolkit.study.resolve import load_study
from sam_toolkit.study.task import Task
from sam_toolkit.types import tensor_digest

_CLASSES = 10


def growths(axes: tuple[str, ...], quick: bool, threads: int) -> Iterator[Growth]:
    """Yield what each of these axes costs, each of its points in a process of its own."""
    for axis in axes:
        about, amounts, point = AXES[axis]
        found = [point(amount) for amount in (amounts[:QUICK] if quick else amounts)]
        steps = tuple(alone(step, replace(one, threads=threads)) for one in found)
        yield Growth(axis=axis, about=about, steps=steps)


def small_network() -> Model:
    """Return a network that costs little, so that what is around it shows."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        parts = [nn.Conv2d(3, 8, 5, 4), nn.ReLU(), nn.Conv2d(8, 16, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
        net = nn.Sequential(*parts, nn.Flatten(), nn.Linear(16, _CLASSES))
    return Model(net.eval().requires_grad_(False), "small")


class _Planned(Clock):
    """Keeps the plan too."""

    plan: Plan | None = None

    def begin(self, tasks: Sequence[Task], plan: Plan) -> None:
        """Keep the plan."""
        self.plan = plan


def step(point: Point) -> Step:
    """Run a point's study in this process and return what it cost."""
    if point.threads:
        torch.set_num_threads(point.threads)
    images = torch.rand(point.images, 3, point.side, point.side, generator=torch.Generator().manual_seed(1))
    photos = tuple(Photo(f"image {n}", image, tensor_digest(image), n % _CLASSES) for n, image in enumerate(images))
    study = load_study(point.mapping(), default_registry(), models={"small": small_network()}, photos=photos)
    clock = _Planned(study)
    before, begun = memory("VmRSS"), time.perf_counter()
    with TemporaryDirectory() as temporary:
        run_study(study, Path(temporary, "store"), device="cpu", progress=clock)
    seconds, peak = time.perf_counter() - begun, max(0, memory("VmHWM") - before)
    assert clock.plan is not None
    return Step(
        amount=point.amount,
        rows=clock.plan.rows,
        rows_alone=clock.plan.rows_alone,
        maps=clock.plan.maps,
        map_bytes=clock.plan.maps * point.side**2 * 4,
        seconds=seconds,
        seconds_maps=sum(part.seconds for part in clock.parts.values()),
        seconds_comparing=clock.comparisons().seconds,
        peak=peak,
    )
