"""What is kept beside a removal-based attribution, and how far it moved between two inputs or models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from sam_toolkit.bounding import Chain, Kept
from sam_toolkit.model import Model
from sam_toolkit.removal.assumptions import Assumption
from sam_toolkit.removal.bounds import chain
from sam_toolkit.removal.estimators import Draw
from sam_toolkit.removal.limits import Limit, fixed_removal, within_range
from sam_toolkit.removal.lipschitz import Lipschitz, given_lipschitz, product_lipschitz
from sam_toolkit.removal.operators import Operator
from sam_toolkit.removal.params import RemovalParams, photograph
from sam_toolkit.removal.removals import Scene
from sam_toolkit.rng import Rng
from sam_toolkit.types import Params, tensor_digest

_DIGITS = 15
"""Hexadecimal digits of a digest that fit a signed number of 64 bits."""

_PRODUCTS: WeakKeyDictionary[Model, dict[tuple[object, ...], float]] = WeakKeyDictionary()
"""Products over the layers of networks, by score and shape of the image: too slow to take for each image."""


def masks_of(setting: RemovalParams, rng: Rng, image_id: str) -> Draw:
    """Return the draws of a setting's masks for an image."""
    stream = rng.child("masks", setting.seed)
    if setting.draws == "independent":
        stream = stream.child(setting.samples)
    return lambda index: stream.generator(image_id, index)


def kept(scene: Scene, setting: RemovalParams, values: Tensor) -> dict[str, Tensor]:
    """Return what bounds need of an attribution: the values of its masks, its parts, how far its image was moved."""
    parts = int(tensor_digest(scene.players.labels)[:_DIGITS], 16)
    found = {"values": values, "parts": torch.tensor(parts)}
    before = None if setting.lipschitz is None else photograph(scene.batch)
    if before is not None:
        moved = (scene.batch.images[0] - before.to(scene.batch.images)).double().norm()
        steepest = _product(scene, setting) if setting.lipschitz == "layers" else float(setting.lipschitz or 0)
        found |= {"distance": moved, "lipschitz": torch.tensor(steepest, dtype=torch.float64)}
    return found


def change(before: Kept, after: Kept, reruns: Sequence[tuple[Kept, Kept]], rng: Rng) -> Chain | None:
    """Return how far an attribution moved and what bounds it; None unless both are of one setting and the same parts.

    The floor is the mean over reruns, 0 where there are none.
    """
    alike = before.setting == after.setting and before.image == after.image
    if not alike or not torch.equal(before.numbers["parts"], after.numbers["parts"]):
        return None
    again = [float((_attribution(one, rng) - _attribution(other, rng)).norm()) for one, other in reruns]
    floor = sum(again) / len(again) if again else 0.0
    values = before.numbers["values"], after.numbers["values"]
    found = chain(_operator(before, rng), *values, _limit(before, after), floor)
    return replace(found, of=_title(before.setting, len(values[0])))


def _title(setting: Params, masks: int) -> str:
    assert isinstance(setting, RemovalParams)
    way = "all" if setting.enumerates else f"{setting.estimator},"
    return f"{setting.summary} of {setting.players} parts, {way} {masks:,} subsets"


def _operator(one: Kept, rng: Rng) -> Operator:
    assert isinstance(one.setting, RemovalParams)
    return _drawn(one.setting, rng, "" if one.setting.enumerates else one.image)


@lru_cache(maxsize=64)
def _drawn(setting: RemovalParams, rng: Rng, image: str) -> Operator:
    return setting.whole() if setting.enumerates else setting.design(masks_of(setting, rng, image)).operator


def _attribution(one: Kept, rng: Rng) -> Tensor:
    return _operator(one, rng).apply(one.numbers["values"])


def _limit(before: Kept, after: Kept) -> Limit | None:
    """Return what is known of the change of any value: without a constant, the range of probabilities."""
    setting = before.setting
    assert isinstance(setting, RemovalParams)
    if before.model != after.model or "distance" not in before.numbers or not setting.fixed:
        return within_range() if setting.score == "probability" else None
    # Both images are changes of one photograph: the way from one to the other over it is no shorter.
    distance = float(before.numbers["distance"] + after.numbers["distance"])
    return fixed_removal(_lipschitz(setting, float(before.numbers["lipschitz"])), distance)


def _lipschitz(setting: RemovalParams, value: float) -> Lipschitz:
    if setting.lipschitz == "layers":
        return Lipschitz(value, (Assumption.LAYERS, Assumption.CHANCE))
    return given_lipschitz(value)


def _product(scene: Scene, setting: RemovalParams) -> float:
    shape = tuple(scene.batch.images.shape[1:])
    known = _PRODUCTS.setdefault(scene.model, {})
    target = int(scene.batch.targets[0]) if setting.score == "logit" else 0
    place = (setting.score, target, shape)
    if place not in known:
        known[place] = product_lipschitz(scene.model, shape, target, score=setting.score).value
    return known[place]
