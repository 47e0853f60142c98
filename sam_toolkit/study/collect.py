"""Collects everything that a report shows from a store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sam_toolkit.study.accuracy import accuracy_rows, accuracy_summaries
from sam_toolkit.study.bounds import bounded_changes
from sam_toolkit.study.changed_images import changing_rows, input_summaries
from sam_toolkit.study.derive import derive
from sam_toolkit.study.findings import Interval
from sam_toolkit.study.labels import setting_text, value_text
from sam_toolkit.study.plan import Plan
from sam_toolkit.study.prepare import Subject
from sam_toolkit.study.results import Experiment, Failure, Results
from sam_toolkit.study.spec import MethodUse, Study
from sam_toolkit.study.statistics import FEW, LEAST
from sam_toolkit.study.store import Store
from sam_toolkit.study.summary import rows, sensitivities, strips, tables, value_summaries

STRIP_IMAGES = 12
"""Photographs whose maps a report shows; the numbers are over all."""


def collect(
    study: Study, subjects: tuple[Subject, ...], plan: Plan, store: Store, made_by: Mapping[str, str]
) -> Results:
    """Return the results of a study, as far as its store has them."""
    found = list(tables(study, subjects, store))
    sensitivity = tuple(item for table in found for item in sensitivities(table, study.seed))
    scores = tuple(row for table in found for row in rows(table))
    accuracies = tuple(accuracy_summaries(study, subjects, store))
    experiments = tuple(_experiment(use) for use in study.methods)
    return Results(
        title=study.title,
        provenance=dict(made_by),
        cost={
            **_cost(plan, store),
            **_changing_cost(study, subjects, plan, store),
            **_scoring_cost(study, subjects, plan, store),
        },
        models=tuple(subject.name for subject in subjects),
        images=_targets(subjects),
        experiments=experiments,
        rows=scores,
        values=tuple(item for table in found for item in value_summaries(table, study.seed)),
        sensitivities=sensitivity,
        accuracies=accuracies,
        strips=tuple(strips(study, subjects, store, STRIP_IMAGES)),
        failures=tuple(_failures(study, subjects, plan, store)),
        notes=_notes(subjects, [item.index for item in sensitivity]),
        study=study.text,
        findings=derive(scores, sensitivity, accuracies, experiments, study.seed),
        inputs=tuple(input_summaries(study, subjects, store.folder)),
        bounds=tuple(bounded_changes(study, subjects, plan, store)),
    )


def _cost(plan: Plan, store: Store) -> dict[str, str]:
    rows, seconds = store.cost({key for task in plan.tasks for row in task.keys for key in row})
    saved = f" ({plan.rows_alone / plan.rows:.1f} times as many)" if plan.rows else ""
    return {
        "maps": f"{plan.maps:,}",
        "network rows computed": f"{rows:,}",
        "network rows without sharing": f"{plan.rows_alone:,}{saved}",
        "seconds computing maps": f"{seconds:.1f}",
    }


def _changing_cost(study: Study, subjects: tuple[Subject, ...], plan: Plan, store: Store) -> dict[str, str]:
    """Return what changed images took, where any of them uses the network."""
    if not plan.changing_rows:
        return {}
    rows, alone = changing_rows(study, subjects, store.folder), plan.changing_rows_alone
    times = f"{alone / plan.changing_rows:.1f} times as many"
    return {
        "network rows of changed images": f"{rows:,}",
        "network rows of changed images without sharing": f"{alone:,} ({times})",
    }


def _scoring_cost(study: Study, subjects: tuple[Subject, ...], plan: Plan, store: Store) -> dict[str, str]:
    """Return what accuracies took, where any of them uses the network."""
    if not plan.scoring_rows:
        return {}
    rows, alone = accuracy_rows(study, subjects, store), plan.scoring_rows_alone
    times = f"{alone / plan.scoring_rows:.1f} times as many"
    return {
        "network rows of accuracies": f"{rows:,}",
        "network rows of accuracies without sharing": f"{alone:,} ({times})",
    }


def _targets(subjects: tuple[Subject, ...]) -> dict[str, str]:
    several = len(subjects) > 1
    texts: dict[str, list[str]] = {}
    for subject in subjects:
        for image, photo in enumerate(subject.photos):
            text = subject.target(image)
            texts.setdefault(photo.name, []).append(f"{subject.name}: {text}" if several else text)
    return {name: "; ".join(dict.fromkeys(found)) for name, found in texts.items()}


def _experiment(use: MethodUse) -> Experiment:
    axes = {name: tuple(value_text(value) for value in values) for name, values in use.axes.items()}
    title = f"{use.method.name}: {', '.join(axes)}" if axes else use.method.name
    defaults = {name: value_text(getattr(use.default, name)) for name in axes}
    default = setting_text(use.default, None)
    return Experiment(use.index, use.method.name, title, default, axes, defaults, use.method.reference)


def _failures(study: Study, subjects: tuple[Subject, ...], plan: Plan, store: Store) -> Iterator[Failure]:
    errors = {key: failed.error for failed in store.failures() for key in failed.keys}
    for task in plan.tasks:
        keys = [key for row in task.keys for key in row if key in errors]
        if keys:
            subject, use = subjects[task.model], study.methods[task.method]
            images = ", ".join(subject.photos[image].name for image in task.images)
            settings = "; ".join(setting_text(setting, None, only=tuple(use.axes)) for setting in task.settings)
            yield Failure(subject.name, use.method.name, images, settings, errors[keys[0]])


def _notes(subjects: tuple[Subject, ...], indices: list[Interval]) -> tuple[str, ...]:
    count = len(subjects[0].photos)
    notes = ["Each map is divided by its largest absolute value before it is compared, unless a metric says otherwise."]
    if count < LEAST:
        notes.append(f"Images: {count}. Confidence intervals need {LEAST}; {FEW} or more are advised.")
    elif count < FEW:
        notes.append(f"Images: {count}. Intervals cover less than they promise; {FEW} or more are advised.")
    undefined = sum(interval.undefined > 0 for interval in indices)
    if undefined:
        notes.append(
            f"{undefined} sensitivity indices leave images out: a map or score is missing or undefined there, "
            "or a rerun is no more similar than a random map."
        )
    return tuple(notes)
