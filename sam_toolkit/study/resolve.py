"""Turns a study file into a `Study`: components found, settings validated, all problems told at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from sam_toolkit.component import MapMetric, Method, PairMetric, Perturbation
from sam_toolkit.images import Photo
from sam_toolkit.registry import Registry
from sam_toolkit.study.document import Node, shown
from sam_toolkit.study.labels import input_text
from sam_toolkit.study.lookup import components, expand, find
from sam_toolkit.study.material import Given, read_images, read_models
from sam_toolkit.study.settings import around, read_default, read_fields
from sam_toolkit.study.spec import CLEAN, AccuracyUse, Comparison, InputUse, MethodUse, MetricUse, Study
from sam_toolkit.study.validate import validate
from sam_toolkit.study.yaml_loader import read_mapping, read_study_file
from sam_toolkit.types import Params, field

USUAL_METRICS = ("ssim", "spearman", "hog")
"""Pair metrics of a study that does not say what to compare, where they are known."""

Along = Literal["settings", "inputs"]
_REFERENCES: dict[Along, str] = {"settings": "default", "inputs": CLEAN}


class _Head(Params):
    """The plain values of a study."""

    title: str | None = field(None, min_length=1, help="what reports call the study; else the file's name")
    seed: int = field(0, ge=0, help="where every random draw starts")
    reruns: int = field(2, ge=0, help="other seeds whose maps make the floor of methods that draw")
    random_maps: int = field(2, ge=0, help="random maps an image that make the other end of the scale")


_PLAIN = {name.replace("_", "-"): name for name in _Head.model_fields}
_KEYS = (*_PLAIN, "models", "images", "inputs", "methods", "compare", "accuracy")


def load_study(
    path_or_mapping: str | Path | Mapping[str, Any],
    registry: Registry,
    *,
    models: Given | None = None,
    photos: Sequence[Photo] | None = None,
) -> Study:
    """Return the study in a YAML file, or in a mapping of what would stand there, checked before any work.

    `models` are modules that the study may name; it takes all if it has no `models`. `photos` take the place
    of its images. Relative paths in a file start at its folder. Raises SpecError that lists every problem.
    """
    if isinstance(path_or_mapping, Mapping):
        document = read_mapping(path_or_mapping)
    else:
        document = read_study_file(Path(path_or_mapping))
    study = _study(document.root(), registry, models or {}, photos)
    document.check()
    assert study is not None
    return study


def _study(root: Node, registry: Registry, models: Given, photos: Sequence[Photo] | None) -> Study | None:
    nodes = root.fields(_KEYS, "a study")
    head = validate(_Head, {_PLAIN[key]: node for key, node in nodes.items() if key in _PLAIN}, root, "a study")
    uses = read_models(root, registry, models)
    images = read_images(root, registry, photos)
    inputs = _inputs(nodes.get("inputs"), registry)
    methods = _methods(root, registry)
    varied = len(inputs) > 1
    compare = _compare(nodes["compare"], registry, varied) if "compare" in nodes else _usual(registry, varied)
    accuracy = expand(nodes["accuracy"].items("metrics"), MapMetric, registry) if "accuracy" in nodes else []
    if head is None or images is None:
        return None
    return Study(
        title=head.title or Path(root.document.name).stem or "study",
        seed=head.seed,
        models=uses,
        images=images,
        inputs=inputs,
        methods=methods,
        compare=compare,
        accuracy=tuple(AccuracyUse(metric, settings) for metric, settings in accuracy),
        reruns=head.reruns,
        random_maps=head.random_maps,
        text=root.document.text,
    )


def _inputs(node: Node | None, registry: Registry) -> tuple[InputUse, ...]:
    """Return the input variants, the clean one in front."""
    entries = list(node.items("inputs")) if node else []
    clean = [entry for entry in entries if entry.value == CLEAN]
    for entry in clean[1:]:
        entry.refuse(f"says what {clean[0].label} says already; keep one.")
    changed = expand([entry for entry in entries if entry.value != CLEAN], Perturbation, registry)
    variants = [
        InputUse(input_text(perturbation, setting), perturbation, setting)
        for perturbation, settings in changed
        for setting in settings
    ]
    return (InputUse(CLEAN), *variants)


def _methods(root: Node, registry: Registry) -> tuple[MethodUse, ...]:
    example = "a list of names, or of mappings such as {smoothgrad: {samples: [50, 100]}}"
    if "methods" not in root.value:
        root.refuse(f"a study needs 'methods': {example}.")
        return ()
    node = root.child("methods")
    if node.value == []:
        node.refuse(f"a study needs a method: {example}.")
    uses = [_method(index, entry, registry) for index, entry in enumerate(node.items("methods"))]
    return tuple(use for use in uses if use is not None)


def _method(index: int, entry: Node, registry: Registry) -> MethodUse | None:
    found = find(entry, Method, registry)
    if found is None:
        return None
    method, node = found
    fields = read_fields(method.Params, node, method.name, without=("default", "grid"))
    own = node.value if isinstance(node.value, dict) else {}
    default = read_default(fields, node.child("default")) if "default" in own else {}
    grid = own.get("grid", False)
    if not isinstance(grid, bool):
        node.child("grid").refuse(f"should be true or false; got {shown(grid)}.")
    sweep = around(fields, default, grid is True)
    return None if sweep is None else MethodUse(index, method, sweep.default, sweep.axes, sweep.settings, grid is True)


def _usual(registry: Registry, varied: bool) -> tuple[Comparison, ...]:
    known = components(registry, PairMetric)
    metrics = tuple(MetricUse(known[name], (known[name].setting(),)) for name in USUAL_METRICS if name in known)
    along: tuple[Along, ...] = ("settings", "inputs") if varied else ("settings",)
    return tuple(Comparison(each, metrics) for each in along if metrics)


def _compare(node: Node, registry: Registry, varied: bool) -> tuple[Comparison, ...]:
    first: dict[Along, Node] = {}
    comparisons = []
    for entry in node.items("comparisons"):
        fields = entry.fields(("along", "with", "metrics"), "a comparison")
        along = _along(entry, fields, varied)
        metrics = expand(fields["metrics"].items("metrics"), PairMetric, registry) if "metrics" in fields else []
        if "metrics" not in fields or fields["metrics"].value == []:
            entry.refuse("a comparison needs 'metrics': a list such as [ssim, {ssim: {window: [5, 7]}}].")
        if along is None:
            continue
        if first.setdefault(along, entry) is not entry:
            entry.refuse(f"{first[along].label} goes along {along} too; put their metrics into one.")
        uses = (MetricUse(metric, settings) for metric, settings in metrics)
        comparisons.append(Comparison(along, tuple(uses)))
    return tuple(comparisons)


def _along(entry: Node, fields: Mapping[str, Node], varied: bool) -> Along | None:
    if "along" not in fields:
        entry.refuse(f"a comparison needs 'along': {' or '.join(_REFERENCES)}.")
        return None
    node = fields["along"]
    if not node.one_of(_REFERENCES):
        return None
    along: Along = node.value
    if along == "inputs" and not varied:
        node.refuse("there are no inputs to compare: list a perturbation under 'inputs', besides the clean one.")
    if "with" in fields and fields["with"].value != _REFERENCES[along]:
        wanted = _REFERENCES[along]
        fields["with"].refuse(f"maps along {along} are compared with {wanted!r}; got {shown(fields['with'].value)}.")
    return along
