"""Both sides of a study, each in a process of its own: its maps, what they cost, and the memory that it takes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sam_toolkit.bench.networks import open_network
from sam_toolkit.bench.script import Network, Seen, Way, lime, similarities, sliding_patch, smoothgrad
from sam_toolkit.bench.script_masks import meaningful_perturbation
from sam_toolkit.bench.study_records import Part
from sam_toolkit.bench.study_settings import StudyCase
from sam_toolkit.bench.timing import Stopwatch
from sam_toolkit.bench.trials import Trials, try_out
from sam_toolkit.errors import BenchError
from sam_toolkit.images import Photo
from sam_toolkit.methods.mask_optimisation import Run
from sam_toolkit.methods.meaningful_perturbation import MeaningfulPerturbationParams
from sam_toolkit.model import Model
from sam_toolkit.registry import default_registry
from sam_toolkit.study.execute import Quiet, run_study
from sam_toolkit.study.keys import map_key
from sam_toolkit.study.resolve import load_study
from sam_toolkit.study.spec import MethodUse, Study
from sam_toolkit.study.store import Store
from sam_toolkit.study.task import Outcome
from sam_toolkit.types import Params

P = ParamSpec("P")
T = TypeVar("T")
Values = NDArray[np.float32]

COMPARISONS, ALL = "comparisons", "all"
_MAKERS: dict[str, Callable[[Network, Seen, Any, Way], Tensor]] = {
    "smoothgrad": smoothgrad,
    "sliding-patch": sliding_patch,
    "lime": lime,
    "meaningful-perturbation": meaningful_perturbation,
}


@dataclass(frozen=True)
class Side:
    """What one side came to.

    Attributes:
        parts: cost by method, of the comparisons, and of everything.
        maps: by method and setting.
        scores: similarities of each pair of maps; empty for ours, which keeps them in its results.
        peak: bytes that the process held at most, beyond those before it began; 0 where the system does not say.
    """

    parts: dict[str, Part]
    maps: dict[str, Values]
    scores: list[list[float]]
    peak: int


@dataclass(frozen=True)
class Opened:
    """A case with its network and photograph open."""

    model: Model
    photo: Photo
    study: Study

    @classmethod
    def of(cls, case: StudyCase) -> Opened:
        """Open them, and take the case's threads."""
        if case.threads:
            torch.set_num_threads(case.threads)
        model = open_network(case.network)
        study = load_study(case.mapping(), default_registry(), models={case.network: model})
        (photo,) = study.images.source if isinstance(study.images.source, tuple) else study.images.source.photos()
        return cls(model, photo, study)

    def seen(self) -> Seen:
        """Return the photograph as a script has it."""
        preprocessing, label = self.model.preprocessing, self.photo.label
        if preprocessing is None or label is None:
            raise BenchError(f"bench: a study needs a photograph with a class; {self.photo.name!r} has none.")
        mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (preprocessing.mean, preprocessing.std))
        return Seen(self.model.image(self.photo), mean, std, label, self.photo.digest, self.study.seed)

    def mask_steps(self) -> Counter[int]:
        """Return by number of masks that go on how many steps have that many."""
        ends: dict[Run, int] = {}
        for setting in (setting for use in self.study.methods for setting in use.settings):
            if isinstance(setting, MeaningfulPerturbationParams):
                ends[setting.run()] = max(setting.iterations, ends.get(setting.run(), 0))
        return Counter(sum(end > step for end in ends.values()) for step in range(max(ends.values(), default=0)))

    def pairs(self) -> Iterator[tuple[str, str, float]]:
        """Yield the names of two maps that are compared, and the range of their values after scaling."""
        for use in self.study.methods:
            facts = use.method(use.default).facts(use.default)
            for setting in use.settings[1:]:
                yield name_of(use, use.default), name_of(use, setting), 2.0 if facts.signed else 1.0


def name_of(use: MethodUse, setting: Params) -> str:
    """Return the name of a map."""
    return f"{use.method.name} {setting.canonical()}"


def alone(call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Return what a call gives in a fresh process, whose memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(call, *arguments, **named).result()


def trials(case: StudyCase) -> Trials:
    """Return how a script is quickest on the case."""
    opened = Opened.of(case)
    return try_out(opened.model.module, opened.seen(), opened.mask_steps(), Stopwatch())


def script(case: StudyCase, ways: dict[str, Way]) -> Side:
    """Return what the script comes to on the case."""
    return by_script(Opened.of(case), ways)


def by_script(opened: Opened, ways: dict[str, Way]) -> Side:
    """Compute every setting once, one after another, and compare maps pair by pair."""
    seen = opened.seen()
    parts: dict[str, Part] = {}
    maps: dict[str, Tensor] = {}
    before, begun = memory("VmRSS"), time.perf_counter()
    for use in opened.study.methods:
        way = ways[use.method.name]
        for setting in use.settings:
            if name_of(use, setting) not in maps:
                started, net = time.perf_counter(), Network(opened.model.module, way.layout)
                maps[name_of(use, setting)] = _MAKERS[use.method.name](net, seen, setting, way)
                own = Part(seconds=time.perf_counter() - started, forward=net.forward, backward=net.backward)
                parts[use.method.name] = parts.get(use.method.name, Part()).plus(own)
    started = time.perf_counter()
    scores = [similarities(scaled(maps[one]), scaled(maps[other]), reach) for one, other, reach in opened.pairs()]
    parts[COMPARISONS] = Part(seconds=time.perf_counter() - started)
    parts[ALL] = Part(seconds=time.perf_counter() - begun)
    peak = max(0, memory("VmHWM") - before)
    return Side(parts, {name: values.numpy() for name, values in maps.items()}, scores, peak)


def scaled(values: Tensor) -> Tensor:
    """Return a map divided by its largest absolute value."""
    return values / values.abs().max().clamp(min=torch.finfo(values.dtype).tiny)


class Clock(Quiet):
    """Adds up what each method costs, and how long maps are compared."""

    def __init__(self, study: Study) -> None:
        self.parts: dict[str, Part] = {}
        self._study = study
        self._stages: dict[str, float] = {}

    def stage(self, text: str) -> None:
        """Note when a stage begins."""
        self._stages.setdefault(text, time.perf_counter())

    def advance(self, outcome: Outcome) -> None:
        """Add a task; raises BenchError for one that failed."""
        if outcome.error:
            raise BenchError(f"bench: {outcome.task.label} failed: {outcome.error}")
        name = self._study.methods[outcome.task.method].method.name
        own = Part(seconds=outcome.seconds, forward=outcome.rows.forward, backward=outcome.rows.backward)
        self.parts[name] = self.parts.get(name, Part()).plus(own)

    def comparisons(self) -> Part:
        """Return how long maps were compared."""
        return Part(seconds=self._stages["Collecting results"] - self._stages["Comparing maps"])


def ours(case: StudyCase) -> Side:
    """Return what the toolkit comes to on the case."""
    return by_toolkit(Opened.of(case), case.workers)


def by_toolkit(opened: Opened, workers: int) -> Side:
    """Run the study in a new store, from opening its photograph to its collected results."""
    clock = Clock(opened.study)
    before = memory("VmRSS")
    with TemporaryDirectory() as temporary:
        folder, begun = Path(temporary, "store"), time.perf_counter()
        run_study(opened.study, folder, device="cpu", workers=workers, progress=clock)
        whole, peak = Part(seconds=time.perf_counter() - begun), max(0, memory("VmHWM") - before)
        maps = dict(_stored(opened, folder))
    parts = {**clock.parts, COMPARISONS: clock.comparisons(), ALL: whole}
    return Side(parts, maps, [], peak)


def _stored(opened: Opened, folder: Path) -> Iterator[tuple[str, Values]]:
    address = opened.model.fingerprint, opened.photo.digest, int(opened.photo.label or 0)
    with Store.read(folder) as store:
        for use in opened.study.methods:
            for setting in use.settings:
                key = map_key(use.method, setting, opened.study.seed, "", address)
                yield name_of(use, setting), store.map(key).numpy()


def memory(what: str) -> int:
    """Return the bytes of this process that the system calls VmRSS, or at most so far VmHWM; 0 where it has none."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:")), 0)
