"""What a study works on, as its file says it: models and images, from sources or given through the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from sam_toolkit.component import ImageSource, ModelPerturbation, ModelSource
from sam_toolkit.errors import near
from sam_toolkit.images import Photo
from sam_toolkit.model import Model
from sam_toolkit.registry import Registry
from sam_toolkit.study.document import Node, shown
from sam_toolkit.study.labels import perturbation_text
from sam_toolkit.study.lookup import components, expand, failures, lookup
from sam_toolkit.study.settings import given_fields
from sam_toolkit.study.spec import ImagesUse, ModelUse
from sam_toolkit.study.validate import validate
from sam_toolkit.types import Params, field

Given = Mapping[str, nn.Module | Model]
"""Models that were given through the API, by name."""

_OWN_KEYS = {"name": "name", "as": "alias", "source": "source"}


class _ModelEntry(Params):
    """The study's own keys of an entry of `models`."""

    name: str = field(help="what its source calls it", min_length=1)
    alias: str | None = field(None, help="what the study calls it", min_length=1)
    source: str | None = field(None, help="the model source, where several serve the name")


class _ImagesEntry(Params):
    """The study's own key of `images`."""

    limit: int | None = field(None, ge=1, help="images taken at most")


def read_models(root: Node, registry: Registry, given: Given) -> tuple[ModelUse, ...]:
    """Return the models that the study names, or those `given` where it has no `models`."""
    if "models" not in root.value:
        if not given:
            root.refuse("a study needs 'models': a list of names, or of mappings such as {name: resnet50}.")
        return tuple(ModelUse(name, name, _wrapped(name, model)) for name, model in given.items())
    node = root.child("models")
    if node.value == []:
        node.refuse("a study needs a model; the list is empty.")
    first: dict[str, Node] = {}
    uses = []
    for entry in node.items("models"):
        use = _model(entry, registry, given)
        if use is None:
            continue
        if first.setdefault(use.name, entry) is not entry:
            other = first[use.name].label
            entry.refuse(f"{other} is called {use.name!r} too; tell them apart: {{name: {use.model}, as: ...}}.")
        uses.append(use)
    if given and uses and not any(use.model in given for use in uses):
        node.refuse(f"names none of the models given: {', '.join(given)}. Name one, or leave out 'models'.")
    return tuple(uses)


def changed_models(node: Node, registry: Registry, uses: tuple[ModelUse, ...]) -> tuple[ModelUse, ...]:
    """Return each model changed by each setting of the model perturbations that the study lists."""
    listed = expand(node.items("model perturbations"), ModelPerturbation, registry)
    return tuple(
        replace(
            use,
            name=f"{use.name}, {perturbation_text(perturbation, setting)}",
            original=use.name,
            perturbation=perturbation(setting),
        )
        for use in uses
        for perturbation, settings in listed
        for setting in settings
    )


def read_images(root: Node, registry: Registry, photos: Sequence[Photo] | None) -> ImagesUse | None:
    """Return the study's images, or `photos` in their place where given; None where a problem was noted."""
    use = _images(root.child("images"), registry) if "images" in root.value else None
    if photos is not None:
        return ImagesUse(tuple(photos))
    if "images" not in root.value:
        root.refuse("a study needs 'images': the name of an image source, or a mapping such as {folder: photos/}.")
    return use


def _model(node: Node, registry: Registry, given: Given) -> ModelUse | None:
    entry = replace(node, value={"name": node.value}) if isinstance(node.value, str) else node
    if not isinstance(entry.value, dict):
        node.refuse(f"should be a model's name or {{name: ..., field: value}}; got {shown(node.value)}.")
        return None
    own = {_OWN_KEYS[key]: entry.child(key) for key in entry.value if key in _OWN_KEYS}
    head = validate(_ModelEntry, own, entry, "a model")
    if head is None:
        return None
    name = head.alias or head.name
    if head.name in given and head.source is None:
        entry.fields(("name", "as"), f"{head.name!r}, a model given through the API,")
        return ModelUse(name, head.name, _wrapped(name, given[head.name]))
    source = _source(node if entry is not node else node.child("name"), head, registry, given)
    if source is None:
        return None
    label = f"model source {source.name!r}"
    fields = given_fields(source.Params, entry, label, without=tuple(_OWN_KEYS))
    setting = validate(source.Params, fields, entry, label)
    return None if setting is None else ModelUse(name, head.name, source(setting))


def _wrapped(name: str, model: nn.Module | Model) -> Model:
    return model if isinstance(model, Model) else Model(model, name)


def _source(node: Node, head: _ModelEntry, registry: Registry, given: Given) -> type[ModelSource[Any]] | None:
    """Return the source that serves a model; one that is asked for by name may list none, and take any.

    A built-in source goes before those of plugins, so that no plugin changes what a study's names stand for.
    """
    sources = components(registry, ModelSource)
    if head.source is not None:
        source = lookup(node, ModelSource, head.source, registry)
        names = source.names() if source else ()
        if names and head.name not in names:
            node.refuse(f"model source {head.source!r} has no model {head.name!r}.{near(head.name, names)}")
        return source
    served = {name: source.names() for name, source in sources.items()}
    serving = [name for name, names in served.items() if head.name in names]
    own = {entry.component.name for entry in registry.entries(ModelSource) if entry.plugin == "sam_toolkit"}
    serving = [name for name in serving if name in own] or serving
    if len(serving) == 1:
        return sources[serving[0]]
    if serving:
        example = f"{{name: {head.name}, source: {serving[0]}}}"
        node.refuse(f"several sources serve {head.name!r}: {', '.join(serving)}. Say which: {example}.")
        return None
    hint = near(head.name, [*given, *(each for names in served.values() for each in names)])
    counts = ", ".join(f"{source} ({len(names)})" for source, names in served.items() if names) or "none"
    node.refuse(f"there is no model {head.name!r}.{hint} Sources and their models: {counts}.{failures(registry)}")
    return None


def _images(node: Node, registry: Registry) -> ImagesUse | None:
    own = node.value if isinstance(node.value, dict) else {}
    head = validate(_ImagesEntry, {"limit": node.child("limit")} if "limit" in own else {}, node, "images")
    source = _image_source(node, registry)
    if source is None:
        return None
    name = f"image source {source.name!r}"
    rest = {key: value for key, value in own.items() if key != "limit"}
    if source.name in rest and source.name not in source.Params.model_fields:
        value = rest.pop(source.name)
        if value is not None and value is not True:
            node.child(source.name).refuse(f"{name} takes no value; got {shown(value)}.")
    entry = replace(node, value=rest)
    setting = validate(source.Params, given_fields(source.Params, entry, name), entry, name)
    return None if setting is None or head is None else ImagesUse(source(setting), head.limit)


def _image_source(node: Node, registry: Registry) -> type[ImageSource[Any]] | None:
    """Return the source that a string names, or the one key of a mapping that is a source's name.

    A key that is a source's name too may be a field of the one that another key names.
    """
    if isinstance(node.value, str):
        return lookup(node, ImageSource, node.value, registry)
    if not isinstance(node.value, dict):
        node.refuse(f"should be an image source's name or {{folder: photos/, limit: 50}}; got {shown(node.value)}.")
        return None
    known = components(registry, ImageSource)
    named = [key for key in node.value if key in known]
    having = [key for key in named if known[key].Params.model_fields.keys() >= {*named} - {key}]
    if len(having) == 1:
        return known[having[0]]
    hints = "" if named else "".join(near(key, known) for key in node.value)
    got = ", ".join(named or node.value) or "none"
    node.refuse(f"one key must name an image source ({', '.join(known)}); got {got}.{hints}{failures(registry)}")
    return None
