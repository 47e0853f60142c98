"""Content keys: what a map or a score is a function of, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sam_toolkit.component import Component
from sam_toolkit.study.spec import InputUse
from sam_toolkit.types import Params, digest, digests


def map_key(
    component: type[Component[Any]], params: Params, seed: int, variant: str, subject: tuple[str, str, int]
) -> str:
    """Return the key of one setting's map; `subject` is (model fingerprint, image digest, target class)."""
    fingerprint, image, target = subject
    return digest("map", *_identity(component, params), str(seed), variant, fingerprint, image, str(target))


def variant_text(use: InputUse) -> str:
    """Return what an input variant is, in full: its perturbation, version and hyperparameters; "" for the clean one."""
    if use.perturbation is None or use.params is None:
        return ""
    return "/".join(_identity(use.perturbation, use.params))


def beside_key(key: str, name: str) -> str:
    """Return the key of the tensor `name` that is kept beside the map of a key."""
    return f"{key}/{name}"


def score_key(component: type[Component[Any]], params: Params, *keys: str) -> str:
    """Return the key of a metric's value for the maps (or random maps, or images) that `keys` name."""
    return digest("score", *_identity(component, params), *keys)


def score_keys(
    component: type[Component[Any]], params: Params, how: Sequence[str], pairs: Iterable[tuple[str, str]]
) -> list[str]:
    """Return the key of a metric's value for each pair of maps, which were treated as `how` says first."""
    return list(digests(("score", *_identity(component, params), *how), pairs))


def _identity(component: type[Component[Any]], params: Params) -> tuple[str, str, str, str]:
    return component.kind, component.name, component.version, params.canonical()
