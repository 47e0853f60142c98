"""Which maps a study needs, and the groups in which they are computed: each map once, ever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from sam_toolkit.component import MapMetric, Method, Perturbation
from sam_toolkit.errors import SpecError
from sam_toolkit.study.changed_images import input_groups
from sam_toolkit.study.grouping import groups
from sam_toolkit.study.keys import map_key, variant_text
from sam_toolkit.study.prepare import Subject
from sam_toolkit.study.spec import MethodUse, Study
from sam_toolkit.study.task import Task
from sam_toolkit.types import Params, digest

_ROWS_A_TASK = 256
_IMAGES_A_TASK = 64


@dataclass(frozen=True)
class Group:
    """Settings of one method that one call computes, for one model and input variant.

    Attributes:
        alone: network rows an image that the settings would cost one by one, in every experiment that names them.
        rows: network rows an image of the one call.
    """

    model: int
    input: int
    method: int
    settings: tuple[Params, ...]
    rows: int
    alone: int


@dataclass(frozen=True)
class Scoring:
    """Settings of one map metric with which one call scores all maps of an image, for one model.

    Attributes:
        maps: number of different maps of an image.
        rows: network rows an image of the one call.
        alone: network rows an image that scoring each map of each experiment with each setting by itself would cost.
    """

    model: int
    metric: type[MapMetric[Any]]
    settings: tuple[Params, ...]
    maps: int
    rows: int
    alone: int


@dataclass(frozen=True)
class Changing:
    """Settings of one perturbation with which one call changes the images, for one model.

    Attributes:
        rows: network rows an image of the one call.
        alone: network rows an image that each setting by itself would cost.
    """

    model: int
    perturbation: type[Perturbation[Any]]
    settings: tuple[Params, ...]
    rows: int
    alone: int


@dataclass(frozen=True)
class Plan:
    """The groups of a study and the tasks that compute them; how its images are changed, and its maps scored."""

    groups: tuple[Group, ...]
    tasks: tuple[Task, ...]
    images: int
    scorings: tuple[Scoring, ...] = ()
    changings: tuple[Changing, ...] = ()

    @property
    def rows(self) -> int:
        """Return the network rows of all tasks."""
        return sum(task.rows for task in self.tasks)

    @property
    def rows_alone(self) -> int:
        """Return the network rows that the same maps cost when each experiment computes each setting by itself."""
        return self.images * sum(group.alone for group in self.groups)

    @property
    def scoring_rows(self) -> int:
        """Return the network rows of all scorings."""
        return self.images * sum(scoring.rows for scoring in self.scorings)

    @property
    def scoring_rows_alone(self) -> int:
        """Return the network rows that the same scores cost one by one."""
        return self.images * sum(scoring.alone for scoring in self.scorings)

    @property
    def changing_rows(self) -> int:
        """Return the network rows of all changes of images."""
        return self.images * sum(changing.rows for changing in self.changings)

    @property
    def changing_rows_alone(self) -> int:
        """Return the network rows that the same changed images cost one by one."""
        return self.images * sum(changing.alone for changing in self.changings)

    @property
    def maps(self) -> int:
        """Return the number of different maps."""
        return sum(len(task.images) * len(task.settings) for task in self.tasks)


def needed_settings(study: Study, use: MethodUse, variant: int) -> tuple[Params, ...]:
    """Return the settings of an experiment whose maps some comparison or accuracy needs at an input variant."""
    axes = {comparison.axis for comparison in study.compare if comparison.covers(use)}
    if variant > 0:
        return (use.default,) if "inputs" in axes else ()
    return (*varied_settings(study, use), *reruns(study, use))


def varied_settings(study: Study, use: MethodUse) -> tuple[Params, ...]:
    """Return the settings of an experiment that the clean input needs, without those of its floor."""
    axes = {comparison.axis for comparison in study.compare if comparison.covers(use)}
    return use.settings if axes & {"settings", "models"} or study.accuracy else (use.default,)


def reruns(study: Study, use: MethodUse) -> tuple[Params, ...]:
    """Return the default setting with other seeds; empty for a method that draws nothing."""
    method = use.method(use.default)
    return tuple(method.reruns(use.default, study.reruns))


def make_plan(study: Study, subjects: tuple[Subject, ...]) -> Plan:
    """Return the plan: a function of the study and its subjects alone, whatever was computed before."""
    _check_sizes(study, subjects)
    found = tuple(_groups(study, subjects))
    tasks: dict[str, Task] = {}
    for group in found:
        for task in _tasks(study, subjects, group):
            tasks.setdefault(task.id, task)
    images = len(subjects[0].photos)
    ordered = sorted(tasks.values(), key=lambda task: (task.model, task.images[0]))
    return Plan(found, tuple(ordered), images, tuple(_scorings(study, subjects)), tuple(_changings(study, subjects)))


def _check_sizes(study: Study, subjects: tuple[Subject, ...]) -> None:
    """Refuse to compare maps of different sizes."""
    sizes = {subject.name: subject.shape[1:] for subject in subjects}
    for comparison in study.compare:
        every = comparison.axis == "models" and comparison.pairs
        for one, other in combinations(sizes, 2) if every else comparison.twins.items():
            if sizes[one] != sizes[other]:
                (height, width), (other_height, other_width) = sizes[one], sizes[other]
                raise SpecError(
                    f"Maps of {one!r} ({height} x {width}) and {other!r} ({other_height} x {other_width}) are compared "
                    "along models, so their images must have one size: set `preprocessing: {crop: ...}` of either."
                )


def scored_maps(study: Study) -> tuple[tuple[type[Method[Any]], Params], ...]:
    """Return the different maps of an image that accuracies look at: methods with their settings."""
    return tuple(dict.fromkeys((use.method, setting) for use in study.methods for setting in use.settings))


def scored_together(study: Study) -> list[tuple[type[MapMetric[Any]], tuple[Params, ...]]]:
    """Return the map metrics of a study with the settings that one call computes, whichever entries name them."""
    wanted: dict[type[MapMetric[Any]], list[Params]] = {}
    for use in study.accuracy:
        wanted.setdefault(use.metric, []).extend(use.settings)
    return [(metric, group) for metric, settings in wanted.items() for group in groups(metric, settings)]


def _scorings(study: Study, subjects: tuple[Subject, ...]) -> Iterator[Scoring]:
    maps = len(scored_maps(study))
    named = Counter((use.metric, setting) for use in study.accuracy for setting in use.settings)
    scored = sum(len(use.settings) for use in study.methods)
    for model, subject in enumerate(subjects):
        for kind, settings in scored_together(study):
            metric, shape = kind(settings[0]), subject.shape
            alone = scored * sum(named[kind, setting] * metric.rows([setting], 1, shape) for setting in settings)
            yield Scoring(model, kind, settings, maps, metric.rows(settings, maps, shape), alone)


def _changings(study: Study, subjects: tuple[Subject, ...]) -> Iterator[Changing]:
    explained = any(needed_settings(study, use, variant=1) for use in study.methods)
    for model, subject in enumerate(subjects):
        for kind, settings in input_groups(study) if explained else ():
            perturbation, shape = kind(settings[0]), subject.shape
            alone = sum(perturbation.rows([setting], shape) for setting in settings)
            yield Changing(model, kind, settings, perturbation.rows(settings, shape), alone)


def _groups(study: Study, subjects: tuple[Subject, ...]) -> Iterator[Group]:
    for model, subject in enumerate(subjects):
        for variant in range(len(study.inputs)):
            for uses in by_method(study.methods):
                yield from _method_groups(study, (model, variant), uses, subject.shape)


def by_method(uses: Iterable[MethodUse]) -> list[list[MethodUse]]:
    """Return the experiments of each method."""
    found: dict[type[Method], list[MethodUse]] = {}  # type: ignore[type-arg]
    for use in uses:
        found.setdefault(use.method, []).append(use)
    return list(found.values())


def _method_groups(
    study: Study, where: tuple[int, int], uses: list[MethodUse], shape: tuple[int, int, int]
) -> Iterator[Group]:
    wanted = Counter(setting for use in uses for setting in needed_settings(study, use, where[1]))
    for settings in groups(uses[0].method, wanted):
        method = uses[0].method(settings[0])
        alone = sum(wanted[setting] * method.rows([setting], shape) for setting in settings)
        yield Group(*where, uses[0].index, settings, method.rows(settings, shape), alone)


def _tasks(study: Study, subjects: tuple[Subject, ...], group: Group) -> Iterator[Task]:
    subject = subjects[group.model]
    method = study.methods[group.method].method
    variant = study.inputs[group.input]
    size = max(1, min(_IMAGES_A_TASK, _ROWS_A_TASK // max(group.rows, 1)))
    for start in range(0, len(subject.photos), size):
        images = tuple(range(start, min(start + size, len(subject.photos))))
        keys = tuple(
            tuple(map_key(method, setting, study.seed, variant_text(variant), subject.address(i)) for i in images)
            for setting in group.settings
        )
        flat = [key for row in keys for key in row]
        names = subject.photos[start].name + (f" and {len(images) - 1} more" if len(images) > 1 else "")
        label = f"{method.name}, {len(group.settings)} settings, {subject.name}, {variant.name}, {names}"
        yield Task(
            digest("task", *flat), group.model, group.method, group.input, images, group.settings, keys,
            group.rows * len(images), label,
        )  # fmt: skip
