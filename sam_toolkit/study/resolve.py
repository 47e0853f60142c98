"""Turns a study file into a `Study`: components found, settings validated, all problems told at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sam_toolkit.choice import finding
from sam_toolkit.component import KINDS, MapMetric, Method, Perturbation
from sam_toolkit.errors import near
from sam_toolkit.images import Photo
from sam_toolkit.model import Precision
from sam_toolkit.registry import Registry
from sam_toolkit.study.comparisons import Subjects, read_comparisons, usual_comparisons
from sam_toolkit.study.document import Node, shown
from sam_toolkit.study.labels import perturbation_text
from sam_toolkit.study.lookup import expand, find
from sam_toolkit.study.material import Given, changed_models, read_images, read_models
from sam_toolkit.study.pins import check_pins
from sam_toolkit.study.settings import around, read_default, read_fields
from sam_toolkit.study.spec import CLEAN, AccuracyUse, InputUse, MethodUse, Study
from sam_toolkit.study.treatment import Treatment
from sam_toolkit.study.validate import validate
from sam_toolkit.study.variants import VARIANTS, choose
from sam_toolkit.study.yaml_loader import read_mapping, read_study_file
from sam_toolkit.types import Params, field


class _Head(Params):
    """The plain values of a study."""

    title: str | None = field(None, min_length=1, help="what reports call the study; else the file's name")
    seed: int = field(0, ge=0, help="where every random draw starts")
    reruns: int = field(2, ge=0, help="other seeds whose maps make the floor of methods that draw")
    random_maps: int = field(2, ge=0, help="random maps an image that make the other end of the scale")
    precision: Precision = field("float32", help="what networks compute with: bfloat16 is faster where CPUs have it")


_PLAIN = {name.replace("_", "-"): name for name in _Head.model_fields}
_KEYS = (
    *_PLAIN, "models", "model-perturbations", "images", "inputs", "methods", "compare", "accuracy", "compat", "plugins",
)  # fmt: skip


def load_study(
    path_or_mapping: str | Path | Mapping[str, Any],
    registry: Registry,
    *,
    models: Given | None = None,
    photos: Sequence[Photo] | None = None,
    variants: Sequence[str] = (),
) -> Study:
    """Return the study in a YAML file, or in a mapping of what would stand there, checked before any work.

    `models` are modules that the study may name; it takes all if it has no `models`. `photos` take the place
    of its images. `variants` are some of those that it names under `on`. Relative paths in a file start at its
    folder. Raises SpecError that lists every problem.
    """
    if isinstance(path_or_mapping, Mapping):
        document = read_mapping(path_or_mapping)
    else:
        document = read_study_file(Path(path_or_mapping))
    choose(document, variants, _KEYS)
    with finding(registry.get):
        study = _study(document.root(), registry, models or {}, photos)
    document.check()
    assert study is not None
    return study


def _study(root: Node, registry: Registry, models: Given, photos: Sequence[Photo] | None) -> Study | None:
    nodes = root.fields((*_KEYS, VARIANTS), "a study")
    check_pins(nodes.get("plugins"), registry)
    root.document.bundle = _bundle(nodes.get("compat"), registry)
    head = validate(_Head, {_PLAIN[key]: node for key, node in nodes.items() if key in _PLAIN}, root, "a study")
    uses = read_models(root, registry, models)
    if "model-perturbations" in nodes:
        uses += changed_models(nodes["model-perturbations"], registry, uses)
    images = read_images(root, registry, photos)
    inputs = _inputs(nodes.get("inputs"), registry)
    methods = _methods(root, registry)
    if "compare" in nodes:
        compare = read_comparisons(nodes["compare"], registry, Subjects(uses, inputs, methods))
    else:
        compare = usual_comparisons(root, registry, varied=len(inputs) > 1)
    accuracy = expand(nodes["accuracy"].items("metrics"), MapMetric, registry) if "accuracy" in nodes else []
    if head is None or images is None:
        return None
    return Study(
        title=head.title or root.document.title,
        seed=head.seed,
        models=uses,
        images=images,
        inputs=inputs,
        methods=methods,
        compare=compare,
        accuracy=tuple(AccuracyUse(metric, settings) for metric, settings in accuracy),
        reruns=head.reruns,
        random_maps=head.random_maps,
        precision=head.precision,
        text=root.document.text,
    )


def _bundle(node: Node | None, registry: Registry) -> str | None:
    """Return the conventions that the whole study keeps; a name that no component knows is refused."""
    if node is None or node.value is None:
        return None
    installed = [entry.component.Params for kind in KINDS for entry in registry.entries(kind)]
    params: list[type[Params]] = [Treatment, *installed]
    known = sorted({name for each in params for name in each.conventions})
    if node.value in known:
        return str(node.value)
    hint = near(node.value, known) if isinstance(node.value, str) else ""
    node.refuse(f"no component has the conventions {shown(node.value)}; known: {', '.join(known)}.{hint}")
    return None


def _inputs(node: Node | None, registry: Registry) -> tuple[InputUse, ...]:
    """Return the input variants, the clean one in front and those that others have to be compared with at the end."""
    entries = list(node.items("inputs")) if node else []
    clean = [entry for entry in entries if entry.value == CLEAN]
    for entry in clean[1:]:
        entry.refuse(f"says what {clean[0].label} says already; keep one.")
    changed = expand([entry for entry in entries if entry.value != CLEAN], Perturbation, registry)
    variants = [
        InputUse(perturbation_text(perturbation, setting), perturbation, setting)
        for perturbation, settings in changed
        for setting in settings
    ]
    return (InputUse(CLEAN), *variants, *_controls(variants))


def _controls(variants: Sequence[InputUse]) -> Iterator[InputUse]:
    """Yield what variants are run beside, unless the study lists it itself."""
    listed = {(use.perturbation, use.params) for use in variants}
    for use in variants:
        for control in use.perturbation(use.params).controls(use.params) if use.perturbation and use.params else ():
            kind, params = type(control), control.params
            if (kind, params) not in listed:
                listed.add((kind, params))
                yield InputUse(perturbation_text(kind, params), kind, params)


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
