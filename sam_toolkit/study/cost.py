"""What each method of a study costs, against running each of its settings by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sam_toolkit.component import Method
from sam_toolkit.study.grouping import groups
from sam_toolkit.study.plan import Plan, by_method, needed_settings, varied_settings
from sam_toolkit.study.prepare import Subject
from sam_toolkit.study.spec import MethodUse, Study
from sam_toolkit.types import Params


@dataclass(frozen=True)
class Cost:
    """Network rows an image, over all models and inputs.

    Attributes:
        name: a method, an accuracy, or what they are together.
        rows: of the settings that experiments vary, computed together.
        alone: of the same settings, each by itself in every experiment that names it.
        floors: what reruns, which make the floor, cost on top of `rows`.
    """

    name: str
    rows: int
    alone: int
    floors: int = 0

    @property
    def share(self) -> float:
        """Return `rows` as a share of `alone`; 1 where there are none."""
        return self.rows / self.alone if self.alone else 1.0


def method_costs(study: Study, subjects: tuple[Subject, ...]) -> list[Cost]:
    """Return the cost of the maps of each method."""
    return [_method_cost(study, subjects, uses) for uses in by_method(study.methods)]


def accuracy_costs(plan: Plan) -> list[Cost]:
    """Return the cost of each accuracy that uses the network."""
    return _by_name(Cost(scoring.metric.name, scoring.rows, scoring.alone) for scoring in plan.scorings)


def changing_costs(plan: Plan) -> list[Cost]:
    """Return the cost of each perturbation that uses the network."""
    return _by_name(Cost(each.perturbation.name, each.rows, each.alone) for each in plan.changings)


def _by_name(costs: Iterable[Cost]) -> list[Cost]:
    """Return the sums of costs of one name, of those that come to something."""
    found: dict[str, list[Cost]] = {}
    for cost in costs:
        found.setdefault(cost.name, []).append(cost)
    return [cost for cost in (together(name, parts) for name, parts in found.items()) if cost.alone]


def together(name: str, found: Iterable[Cost]) -> Cost:
    """Return the sum of some costs."""
    parts = list(found)
    return Cost(name, sum(one.rows for one in parts), sum(one.alone for one in parts), sum(one.floors for one in parts))


def _method_cost(study: Study, subjects: tuple[Subject, ...], uses: list[MethodUse]) -> Cost:
    method = uses[0].method
    parts = []
    for subject in subjects:
        for variant in range(len(study.inputs)):
            needed = [setting for use in uses for setting in needed_settings(study, use, variant)]
            varied = [setting for use in uses for setting in varied_settings(study, use)] if variant == 0 else needed
            rows = _rows(method, varied, subject)
            alone = sum(count * _rows(method, [setting], subject) for setting, count in Counter(varied).items())
            parts.append(Cost(method.name, rows, alone, _rows(method, needed, subject) - rows))
    return together(method.name, parts)


def _rows(method: type[Method[Any]], settings: Iterable[Params], subject: Subject) -> int:
    return sum(method(group[0]).rows(group, subject.shape) for group in groups(method, settings))
