"""What a study says under `compare`: along what, with which maps, of which methods, by which metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sam_toolkit.component import PairMetric
from sam_toolkit.errors import near
from sam_toolkit.registry import Registry
from sam_toolkit.study.document import Node, shown
from sam_toolkit.study.lookup import components, expand
from sam_toolkit.study.settings import usual_values
from sam_toolkit.study.spec import CLEAN, ORIGINAL, Axis, Comparison, InputUse, MethodUse, MetricUse, ModelUse
from sam_toolkit.study.treatment import treated

USUAL_METRICS = ("ssim", "spearman", "hog")
"""Pair metrics of a study that does not say what to compare, where they are known."""

ALL = "all"
"""What a comparison is `with` where every pair counts."""

_REFERENCES: dict[Axis, str] = {"settings": "default", "inputs": CLEAN, "models": "a model"}
_KEYS = ("along", "with", "of", "reference", "metrics")


@dataclass(frozen=True)
class Subjects:
    """What the comparisons of a study are about."""

    models: tuple[ModelUse, ...]
    inputs: tuple[InputUse, ...]
    methods: tuple[MethodUse, ...]


def usual_comparisons(root: Node, registry: Registry, varied: bool) -> tuple[Comparison, ...]:
    """Return what is compared where a study does not say it: along settings, and along inputs where they vary."""
    known = components(registry, PairMetric)
    metrics = tuple(_usual_metric(known[name], root) for name in USUAL_METRICS if name in known)
    along: tuple[Axis, ...] = ("settings", "inputs") if varied else ("settings",)
    return tuple(Comparison(each, metrics) for each in along if metrics)


def _usual_metric(metric: type[PairMetric[Any]], root: Node) -> MetricUse:
    params = treated(metric)
    values = {name: node.value for name, node in usual_values(params, root).items()}
    return MetricUse(metric, (params(**values),))


def read_comparisons(node: Node, registry: Registry, subjects: Subjects) -> tuple[Comparison, ...]:
    """Return the comparisons that a study lists; what they cannot be about is refused."""
    found: list[tuple[Node, Comparison]] = []
    for entry in node.items("comparisons"):
        comparison = _comparison(entry, registry, subjects)
        if comparison is None:
            continue
        earlier = next((first for first, other in found if _overlap(comparison, other, subjects.methods)), None)
        if earlier is not None:
            entry.refuse(f"{earlier.label} goes along {comparison.along} too; put their metrics into one.")
        found.append((entry, comparison))
    return tuple(comparison for _, comparison in found)


def _comparison(entry: Node, registry: Registry, subjects: Subjects) -> Comparison | None:
    fields = entry.fields(_KEYS, "a comparison")
    axis = _axis(entry, fields, subjects)
    uses = expand(fields["metrics"].items("metrics"), PairMetric, registry) if "metrics" in fields else []
    if "metrics" not in fields or fields["metrics"].value == []:
        entry.refuse("a comparison needs 'metrics': a list such as [ssim, {ssim: {window: [5, 7]}}].")
    methods = _methods(fields["of"], subjects.methods) if "of" in fields else None
    if axis is None:
        return None
    metrics = tuple(MetricUse(metric, settings) for metric, settings in uses)
    reference = _reference(fields["reference"], axis, subjects.methods) if "reference" in fields else None
    plain = Comparison(axis, metrics, methods=methods, reference=reference)
    return _with(entry, fields.get("with"), plain, subjects)


def _axis(entry: Node, fields: Mapping[str, Node], subjects: Subjects) -> Axis | None:
    if "along" not in fields:
        entry.refuse(f"a comparison needs 'along': {' or '.join(_REFERENCES)}.")
        return None
    node = fields["along"]
    if not node.one_of(_REFERENCES):
        return None
    axis: Axis = node.value
    if axis == "inputs" and len(subjects.inputs) < 2:
        node.refuse("there are no inputs to compare: list a perturbation under 'inputs', besides the clean one.")
    if axis == "models" and len(subjects.models) < 2:
        node.refuse(
            "there are no models to compare: list two or more under 'models', or a change under 'model-perturbations'."
        )
        return None
    return axis


def _with(entry: Node, node: Node | None, plain: Comparison, subjects: Subjects) -> Comparison | None:
    """Return the comparison with what its maps are compared with."""
    if node is not None and node.value == ALL:
        if plain.reference is not None:
            node.refuse("pairs have no reference: name a model, or leave out 'reference'.")
        return replace(plain, pairs=True)
    if plain.axis == "models":
        twins = _twins(entry, node, subjects.models)
        return replace(plain, twins=twins) if twins else None
    wanted = _REFERENCES[plain.axis]
    if node is not None and node.value != wanted:
        got = shown(node.value)
        node.refuse(f"maps along {plain.axis} are compared with {wanted!r}, or {ALL!r} with each other; got {got}.")
    return plain


def _twins(entry: Node, node: Node | None, uses: Sequence[ModelUse]) -> dict[str, str]:
    """Return, by model, the one whose maps are its references; empty where a problem was noted."""
    models = [use.name for use in uses]
    changed = {use.name: use.original for use in uses if use.original}
    if node is None:
        of_changed = f"{ORIGINAL!r} for the one that each was changed from, " if changed else ""
        entry.refuse(
            f"a comparison along models needs 'with': the model to compare with ({', '.join(models)}), "
            f"{of_changed}a mapping of models to theirs, or {ALL}."
        )
        return {}
    if node.value == ORIGINAL and changed and ORIGINAL not in models:
        return changed
    if not isinstance(node.value, dict):
        return {name: node.value for name in models if name != node.value} if _is_model(node, models) else {}
    pairs = node.fields(models, "the study, among its models,")
    twins = {name: twin.value for name, twin in pairs.items() if _is_model(twin, models)}
    for name, twin in twins.items():
        if twin == name:
            pairs[name].refuse(f"{name!r} would be compared with itself; name another model.")
    return twins


def _is_model(node: Node, models: Sequence[str]) -> bool:
    if node.value in models:
        return True
    hint = near(node.value, models) if isinstance(node.value, str) else ""
    node.refuse(f"the study has no model {shown(node.value)} (it has: {', '.join(models)}).{hint}")
    return False


def _methods(node: Node, uses: Iterable[MethodUse]) -> tuple[str, ...]:
    names = [name for name in node.items("methods") if _find(name, uses) is not None]
    if node.value == []:
        node.refuse("an empty list compares nothing; name methods, or leave it out.")
    return tuple(name.value for name in names)


def _reference(node: Node, axis: Axis, uses: Iterable[MethodUse]) -> MethodUse | None:
    if axis != "models":
        node.refuse(f"only maps along models are compared with those of one method; this goes along {axis}.")
        return None
    return _find(node, uses)


def _find(node: Node, uses: Iterable[MethodUse]) -> MethodUse | None:
    """Return the first experiment of the method that is named; a name that the study has not is refused."""
    found: dict[Any, MethodUse] = {}
    for use in uses:
        found.setdefault(use.method.name, use)
    if isinstance(node.value, str) and node.value in found:
        return found[node.value]
    hint = near(node.value, found) if isinstance(node.value, str) else ""
    node.refuse(f"the study has no method {shown(node.value)} (it has: {', '.join(found)}).{hint}")
    return None


def _overlap(one: Comparison, other: Comparison, uses: Iterable[MethodUse]) -> bool:
    return one.along == other.along and any(one.covers(use) and other.covers(use) for use in uses)
