"""Runs a study: plans, computes what its store lacks, compares, and collects the results."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

import torch

from sam_toolkit.errors import SpecError
from sam_toolkit.study.accuracy import score_maps
from sam_toolkit.study.collect import collect
from sam_toolkit.study.compare import compare
from sam_toolkit.study.executors.inline import InlineExecutor
from sam_toolkit.study.executors.process import ProcessExecutor
from sam_toolkit.study.plan import Plan, make_plan
from sam_toolkit.study.prepare import Subject, prepare
from sam_toolkit.study.provenance import provenance
from sam_toolkit.study.results import Results
from sam_toolkit.study.spec import Study
from sam_toolkit.study.store import Score, Store
from sam_toolkit.study.task import Executor, MakeWorker, Outcome, Task
from sam_toolkit.study.work import Job, StudyWorker
from sam_toolkit.types import digest

_ROWS_THAT_PAY = 2000
"""Network rows for which starting processes, each with a torch and a model of its own, is worth while."""
_MOST_WORKERS = 8
"""Processes chosen unasked: each holds a model and a batch of activations."""


class Progress(Protocol):
    """Who is told how a run gets on."""

    def stage(self, text: str) -> None:
        """Say what begins."""
        ...

    def begin(self, tasks: Sequence[Task], plan: Plan) -> None:
        """Say what is left to compute."""
        ...

    def under_way(self, task: Task, rows: int) -> None:
        """Say how many network rows of a task are done."""
        ...

    def advance(self, outcome: Outcome) -> None:
        """Say that a task ended."""
        ...


class Quiet:
    """Tells nobody."""

    def stage(self, text: str) -> None:
        """Do nothing."""

    def begin(self, tasks: Sequence[Task], plan: Plan) -> None:
        """Do nothing."""

    def under_way(self, task: Task, rows: int) -> None:
        """Do nothing."""

    def advance(self, outcome: Outcome) -> None:
        """Do nothing."""


class StoreMemory:
    """Numbers kept in a store's table of scores."""

    def __init__(self, store: Store) -> None:
        """Keep numbers in `store`."""
        self._store = store

    def recall(self, key: str) -> float | None:
        """Return the number, or None where it is not known."""
        found = self._store.scores([key]).get(key)
        return None if found is None else found.value

    def remember(self, key: str, value: float) -> None:
        """Keep the number."""
        self._store.add_scores([Score(key, value)])


def resolve_device(name: str) -> str:
    """Return the device to use: "auto" takes the first GPU where there is one.

    Raises SpecError for a device that is not there.
    """
    if name == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise SpecError(
            f"Device {name!r} cannot be used: {reason} Use auto, cpu, or cuda:0 where there is a GPU."
        ) from None
    return name


def run_study(
    study: Study, folder: Path, *, device: str = "auto", workers: int | None = 0, progress: Progress | None = None
) -> Results:
    """Run the study in the store at `folder` and return its results; what the store has already is not computed again.

    Killed anywhere and called again, it ends with the same store and repeats at most the task it was in.

    Args:
        study: the checked study.
        folder: the store; made where there is none.
        device: auto, cpu or cuda:0.
        workers: processes that compute maps; 0 computes them in this one, None chooses for the device and the plan.
        progress: who is told how it gets on.
    """
    progress = progress or Quiet()
    started = time.perf_counter()
    where = resolve_device(device)
    with Store.open(folder) as store:
        progress.stage("Opening models and photographs")
        subjects = prepare(study, where, StoreMemory(store))
        plan = make_plan(study, subjects)
        run = store.start_run({**provenance(study, subjects, where), "study": study.text})
        status = "interrupted"
        try:
            job = Job(study, tuple(subject.photos for subject in subjects), folder, where)
            _compute(job, subjects, plan, store, usual_workers(plan, where) if workers is None else workers, progress)
            progress.stage("Comparing maps")
            failures = compare(study, subjects, store, progress.stage)
            failures += score_maps(study, subjects, store, progress.stage)
            status = "done"
        finally:
            store.finish_run(run, status, {"seconds": time.perf_counter() - started})
        progress.stage("Collecting results")
        found = collect(study, subjects, plan, store, provenance(study, subjects, where))
        return replace(found, failures=(*found.failures, *failures))


def usual_workers(plan: Plan, device: str) -> int:
    """Return how many worker processes pay: one a core on a CPU, where threads share a network badly; none elsewhere.

    A function of the whole plan, not of what is left of it, so that a resumed run computes as it began.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    pays = device == "cpu" and cores > 1 and plan.rows >= _ROWS_THAT_PAY
    return min(cores, _MOST_WORKERS) if pays else 0


def _compute(
    job: Job, subjects: tuple[Subject, ...], plan: Plan, store: Store, workers: int, progress: Progress
) -> None:
    have = store.verify({key for task in plan.tasks for row in task.keys for key in row})
    tasks = [task for task in (_lacking(task, have) for task in plan.tasks) if task.images]
    progress.begin(tasks, plan)
    if not tasks:
        return
    if workers:
        tasks.sort(key=lambda task: -task.rows)  # else one process can be left with the longest when others are done
    executor: Executor = ProcessExecutor(workers) if workers else InlineExecutor()
    models = () if workers else tuple(subject.model for subject in subjects)
    make_worker: MakeWorker = partial(StudyWorker, job, models)
    try:
        for outcome in executor.run(tasks, make_worker, progress.under_way):
            _keep(outcome, store)
            progress.advance(outcome)
    finally:
        executor.close()


def _keep(outcome: Outcome, store: Store) -> None:
    if outcome.status == "done" and outcome.file is not None:
        store.record(outcome.file, rows=outcome.rows.forward, seconds=outcome.seconds)
    else:
        keys = [key for row in outcome.task.keys for key in row]
        store.fail(outcome.task.label, keys, outcome.error)


def _lacking(task: Task, have: set[str]) -> Task:
    """Return the task without the settings and images whose maps are all there."""
    settings = [s for s, row in enumerate(task.keys) if not have.issuperset(row)]
    images = [n for n in range(len(task.images)) if any(task.keys[s][n] not in have for s in settings)]
    if len(settings) == len(task.settings) and len(images) == len(task.images):
        return task
    keys = tuple(tuple(task.keys[s][n] for n in images) for s in settings)
    return replace(
        task,
        id=digest("task", *(key for row in keys for key in row)),
        images=tuple(task.images[n] for n in images),
        settings=tuple(task.settings[s] for s in settings),
        keys=keys,
        rows=task.rows * len(images) // len(task.images),
    )
