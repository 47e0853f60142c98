"""What a study will cost, before it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from sam_toolkit.model import Model
from sam_toolkit.study.cost import Cost, accuracy_costs, changing_costs, method_costs, together
from sam_toolkit.study.execute import resolve_device
from sam_toolkit.study.labels import metric_text, perturbation_text, setting_text
from sam_toolkit.study.plan import Changing, Group, Plan, Scoring, make_plan
from sam_toolkit.study.prepare import Subject, prepare
from sam_toolkit.study.spec import CLEAN, Study

MAPS, ALL = "all maps", "all together"
"""What sums are called in an estimate's costs."""

CHANGED = "changed images"
"""What stands for the input where images are changed."""

TIMED_ROWS = 8
"""Network rows from which the time is told."""

_TRIES = 4


@dataclass(frozen=True)
class Line:
    """One group: the settings that one call computes, and its network rows an image with and without sharing.

    `method` is a map metric where the call scores maps, a perturbation where it changes images. `how` says what a row
    is, where it is not the whole network.
    """

    model: str
    input: str
    method: str
    settings: tuple[str, ...]
    rows: int
    rows_alone: int
    seconds: float
    how: str = ""


@dataclass(frozen=True)
class Estimate:
    """The cost of a study that starts from an empty store; seconds are measured on a few rows, then multiplied.

    Attributes:
        networks: how each is run, by name.
        costs: by method, then of all maps, by perturbation, by accuracy, and of everything.
    """

    title: str
    device: str
    images: int
    tasks: int
    maps: int
    rows: int
    rows_alone: int
    store_bytes: int
    memory_bytes: int
    seconds: float
    networks: dict[str, str]
    groups: tuple[Line, ...]
    costs: tuple[Cost, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the estimate as JSON values."""
        return {**asdict(self), "costs": [{**asdict(cost), "share": cost.share} for cost in self.costs]}


class Forgetful:
    """Keeps no numbers: a plan has no store."""

    def recall(self, key: str) -> None:
        """Return None."""

    def remember(self, key: str, value: float) -> None:
        """Do nothing."""


def estimate(study: Study, device: str) -> Estimate:
    """Return what the study will cost; opens its models and photographs, and times a few network rows."""
    where = resolve_device(device)
    subjects = prepare(study, where, Forgetful())
    plan = make_plan(study, subjects)
    timings = [_seconds_a_row(subject) for subject in subjects]
    lines = [_line(study, subjects, group, timings[group.model]) for group in plan.groups]
    lines += [_changing_line(subjects, one, timings[one.model]) for one in plan.changings if one.rows]
    lines += [_scoring_line(subjects, scoring, timings[scoring.model]) for scoring in plan.scorings if scoring.rows]
    sizes = [subject.shape[1] * subject.shape[2] * 4 for subject in subjects]
    memory = [_memory(subjects[group.model], group) for group in plan.groups]
    return Estimate(
        title=study.title,
        device=where,
        images=plan.images,
        tasks=len(plan.tasks),
        maps=plan.maps,
        rows=plan.rows + plan.changing_rows + plan.scoring_rows,
        rows_alone=plan.rows_alone + plan.changing_rows_alone + plan.scoring_rows_alone,
        store_bytes=sum(len(task.images) * len(task.settings) * sizes[task.model] for task in plan.tasks),
        memory_bytes=max(memory),
        seconds=plan.images * sum(line.seconds for line in lines),
        networks={subject.name: subject.how for subject in subjects},
        groups=tuple(lines),
        costs=_costs(study, subjects, plan),
    )


def _costs(study: Study, subjects: tuple[Subject, ...], plan: Plan) -> tuple[Cost, ...]:
    """Return the cost of each method, perturbation and accuracy, and of all together."""
    methods, others = method_costs(study, subjects), [*changing_costs(plan), *accuracy_costs(plan)]
    total = [together(ALL, [*methods, *others])] if others else []
    return (*methods, together(MAPS, methods), *others, *total)


def _line(study: Study, subjects: tuple[Subject, ...], group: Group, timings: tuple[float, float]) -> Line:
    use, subject = study.methods[group.method], subjects[group.model]
    work = use.method(group.settings[0]).work(subject.model, group.settings, subject.shape)
    seconds = group.rows * work.share * timings[use.method.gradients]
    settings = tuple(setting_text(setting, use.default) or "default" for setting in group.settings)
    variant = study.inputs[group.input].name
    return Line(subject.name, variant, use.method.name, settings, group.rows, group.alone, seconds, work.how)


def _changing_line(subjects: tuple[Subject, ...], changing: Changing, timings: tuple[float, float]) -> Line:
    kind, name = changing.perturbation, subjects[changing.model].name
    texts = tuple(perturbation_text(kind, setting) for setting in changing.settings)
    # What attacks do is forward and backward; they are what takes time.
    return Line(name, CHANGED, kind.name, texts, changing.rows, changing.alone, changing.rows * timings[True])


def _scoring_line(subjects: tuple[Subject, ...], scoring: Scoring, timings: tuple[float, float]) -> Line:
    texts = tuple(metric_text(scoring.metric, setting, scoring.settings) for setting in scoring.settings)
    seconds = scoring.rows * timings[False]
    model, name = subjects[scoring.model].name, f"{scoring.metric.name} of {scoring.maps} maps"
    return Line(model, CLEAN, name, texts, scoring.rows, scoring.alone, seconds)


def _memory(subject: Subject, group: Group) -> int:
    """Return the bytes of one chunk of network inputs and of a group's maps; activations come on top."""
    channels, height, width = subject.shape
    return height * width * 4 * (channels * subject.model.chunk + len(group.settings))


def _seconds_a_row(subject: Subject) -> tuple[float, float]:
    """Return the seconds of a forward row and of a forward and backward row, timed on a few."""
    model = subject.model
    inputs = model.inputs(model.image(subject.photos[0])[None]).expand(TIMED_ROWS, -1, -1, -1)
    targets = torch.zeros(TIMED_ROWS, dtype=torch.int64)

    def build(start: int, stop: int) -> torch.Tensor:
        return inputs[start:stop]

    forward = _timed(model, lambda: model.scores(build, targets, "logit"))
    backward = _timed(model, lambda: list(model.gradients(build, targets, "logit")))
    return forward / TIMED_ROWS, backward / TIMED_ROWS


def _timed(model: Model, work: Callable[[], object]) -> float:
    """Return the least seconds of a few tries: what else runs on the machine only adds to them."""
    seconds = []
    for _ in range(_TRIES):
        started = time.perf_counter()
        work()
        if model.device.type == "cuda":
            torch.cuda.synchronize(model.device)
        seconds.append(time.perf_counter() - started)
    return min(seconds)
