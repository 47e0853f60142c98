"""The weights that torchvision published: which of them a file is, and how images for them are prepared."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import torch

from sam_toolkit.errors import ModelError, near
from sam_toolkit.images import Preprocessing
from sam_toolkit.sources.layouts import State
from sam_toolkit.sources.preprocessing import PreprocessingParams
from sam_toolkit.sources.weights import named

_HASH = re.compile(r"-([0-9a-f]{8,})\.\w+$")
_SUPERSEDED = {"19c8e357": "IMAGENET1K_V1"}
"""Beginnings of SHA-256 of files that torchvision replaced by others of the same recipe: ResNet-50 before 0.9."""


def recognised(path: Path, published: Any) -> Any:
    """Return the published weights that a file is by its SHA-256, whatever its name, or None.

    Raises ModelError where the file has the name of published weights and another content.
    """
    content = _sha256(path)
    by_hash = {_hash(member.url): member for member in published}
    by_hash |= {old: published[name] for old, name in _SUPERSEDED.items() if name in published.__members__}
    found = next((member for start, member in by_hash.items() if content.startswith(start)), None)
    promised = next((member for member in published if member.url.endswith(f"/{path.name}")), None)
    if promised not in (None, found):
        what = f"is that of {found.name}" if found else "is of no published file"
        raise ModelError(
            f"Weights {path} are not {promised.name}, which their name says: their SHA-256, {content[:8]}..., {what}. "
            "Bring the file again, or give it a name of your own."
        )
    return found


def downloaded(name: str, member: Any) -> State:
    """Return the tensors of published weights; raises ModelError where they are neither kept nor to be had."""
    kept = Path(torch.hub.get_dir()) / "checkpoints" / Path(member.url).name
    if kept.is_file():
        recognised(kept, type(member))
    try:
        state = member.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
    except Exception as error:  # of the network, or of a file that was damaged on the way
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"Weights {member.name} of {name} could not be loaded from {member.url} or {kept.parent} ({reason}). "
            f"Without the internet: put that file into {kept.parent}, or name a file with `weights: <path>`."
        ) from error
    return named(state, member.url)


def agreed(name: str, published: Any, found: Any, asked: str | None) -> Any:
    """Return the published weights that the study's `preset` asks for, or else those `found`.

    Raises ModelError where the architecture has no such weights, or the file is known to be others.
    """
    if asked is None:
        return found
    if asked not in published.__members__:
        known = list(published.__members__)
        raise ModelError(f"{name} has no preset {asked!r}.{near(asked, known)} Known: {', '.join(known)}.")
    if found is not None and found.name != asked:
        raise ModelError(f"The weights of {name} are {found.name}, but `preset` says {asked}: leave `preset` out.")
    return published[asked]


def preset(member: Any) -> Preprocessing:
    """Return the evaluation transforms of published weights as our preprocessing."""
    transforms = member.transforms()
    return Preprocessing(
        crop=transforms.crop_size[0],
        resize=transforms.resize_size[0],
        interpolation=transforms.interpolation.value,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
    )


def common_preset(name: str, published: Any, changes: PreprocessingParams) -> Preprocessing:
    """Return how images are prepared for weights that are none of the published ones.

    Raises ModelError where the published ones differ in what `changes` leaves open.
    """
    presets = {member.name: preset(member) for member in published}
    first, *others = presets.values()
    open_fields = [field for field, change in changes if change is None]
    differing = [
        field for field in open_fields if any(getattr(each, field) != getattr(first, field) for each in others)
    ]
    if differing:
        each = "; ".join(
            f"{member} {', '.join(f'{field} {getattr(own, field)}' for field in differing)}"
            for member, own in presets.items()
        )
        raise ModelError(
            f"How images are prepared for these weights of {name} is not known: they are no published file, and "
            f"published ones differ ({each}). Say which they are like, `preset: {next(iter(presets))}`, "
            f"or give `preprocessing: {{{', '.join(f'{field}: ...' for field in differing)}}}`."
        )
    return first


def _hash(url: str) -> str:
    match = _HASH.search(url)
    assert match is not None, url
    return match[1]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
