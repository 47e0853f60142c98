"""Variants of a study: entries under `on`, which take the place of the study's own when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sam_toolkit.errors import SpecError, near
from sam_toolkit.study.document import Address, Document, shown

VARIANTS = "on"
"""The key of a study under which its variants stand, by name."""


def choose(document: Document, names: Sequence[str], keys: Sequence[str]) -> None:
    """Put the entries of the variants `names`, one after the other, in the place of the study's own.

    What is no variant is refused: each is a mapping of some of the study's `keys`. Raises SpecError for a name that the
    study does not have.
    """
    variants = _variants(document, keys)
    for name in names:
        if name not in variants:
            known = f"it has: {', '.join(variants)}" if variants else f"it has none: name them under `{VARIANTS}`"
            raise SpecError(f"{document.name or 'The study'} has no variant {name!r} ({known}).{near(name, variants)}")
        document.data.setdefault("title", document.title)
        if "title" not in variants[name]:
            document.data["title"] = f"{document.data['title']}-{name}"
        for key, value in variants[name].items():
            _move(document, (VARIANTS, name, key), (key,))
            document.data[key] = value
        document.text = f"{document.text.rstrip()}\n# Taken on: {name}\n"


def _variants(document: Document, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the variants of a study by name, and take them out of it."""
    node = document.root().child(VARIANTS) if VARIANTS in document.data else None
    document.data = {key: value for key, value in document.data.items() if key != VARIANTS}
    if node is None:
        return {}
    if not isinstance(node.value, dict):
        node.refuse(
            f"should be a mapping of names to variants, {{demo: {{images: bundled}}}}; got {shown(node.value)}."
        )
        return {}
    found = {name: node.child(name) for name in node.value}
    known = {name: variant.fields(keys, "a variant") for name, variant in found.items()}
    return {name: {key: entry.value for key, entry in own.items()} for name, own in known.items()}


def _move(document: Document, source: Address, target: Address) -> None:
    """Let the values at `target` have the places of those at `source`."""
    for places in (document.values, document.keys):
        for address in [address for address in places if address[: len(target)] == target]:
            del places[address]
        for address in [address for address in places if address[: len(source)] == source]:
            places[(*target, *address[len(source) :])] = places[address]
    document.unreadable = {address for address in document.unreadable if address[: len(target)] != target} | {
        (*target, *address[len(source) :]) for address in document.unreadable if address[: len(source)] == source
    }
