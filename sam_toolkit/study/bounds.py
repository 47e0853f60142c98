"""What methods say of how far attributions moved between the maps that a study compares, and of how far they can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sam_toolkit.bounding import Chain, Kept
from sam_toolkit.component import Method
from sam_toolkit.rng import Rng
from sam_toolkit.study.plan import Plan
from sam_toolkit.study.prepare import Subject
from sam_toolkit.study.results import BoundedChange
from sam_toolkit.study.spec import Study
from sam_toolkit.study.stacks import Line, Stack, stacks
from sam_toolkit.study.store import Store
from sam_toolkit.types import Params


class _Made(NamedTuple):
    """What a map of the store was made of."""

    setting: Params
    image: str
    model: str


def bounded_changes(study: Study, subjects: tuple[Subject, ...], plan: Plan, store: Store) -> Iterator[BoundedChange]:
    """Yield the bounds on the change between each compared pair of maps, where their method knows any."""
    made = _made(subjects, plan)
    for same in stacks(study, subjects):
        if same[0].use.method.bounds is not Method.bounds:
            for stack in same:
                yield from _changes(study, subjects[stack.model], stack, _kept(stack, made, store))


def _made(subjects: tuple[Subject, ...], plan: Plan) -> dict[str, _Made]:
    return {
        key: _Made(setting, subjects[task.model].photos[image].digest, subjects[task.model].model.fingerprint)
        for task in plan.tasks
        for setting, row in zip(task.settings, task.keys, strict=True)
        for image, key in zip(task.images, row, strict=True)
    }


def _kept(stack: Stack, made: Mapping[str, _Made], store: Store) -> dict[str, Kept]:
    keys = {key for line in stack.lines for key in (stack.other(line), line.key)}
    return {key: Kept(*made[key], numbers) for key, numbers in store.beside(keys).items()}


def _changes(study: Study, subject: Subject, stack: Stack, kept: Mapping[str, Kept]) -> Iterator[BoundedChange]:
    method = stack.use.method(stack.use.default)
    lines = [line for line in stack.lines if {stack.other(line), line.key} <= kept.keys()]
    reruns = [(kept[stack.other(line)], kept[line.key]) for line in lines if line.role == "rerun"]
    for line in lines:
        if line.role == "value":
            pair = kept[stack.other(line)], kept[line.key]
            chain = method.bounds(*pair, reruns, Rng(study.seed).child(method.name))
            if chain is not None:
                yield _result(subject, stack, line, chain)


def _result(subject: Subject, stack: Stack, line: Line, chain: Chain) -> BoundedChange:
    return BoundedChange(
        model=subject.name,
        experiment=stack.use.index,
        method=stack.use.method.name,
        along=stack.comparison.along,
        factor=line.factor,
        value=line.value,
        reference=stack.label,
        image=subject.photos[stack.image].name,
        chain=chain,
        map=line.key,
        reference_map=stack.other(line),
    )
