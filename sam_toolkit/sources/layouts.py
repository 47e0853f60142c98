"""How files name a network's tensors: each layout is told by its keys, and has one function that undoes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from sam_toolkit.errors import ModelError

State = dict[str, Tensor]
"""A network's tensors by name."""

_STATISTIC = re.compile(r"(?:attacker\.normalize|normalizer)\.new_(mean|std)")
_AUXILIARY = re.compile(r"(aux[12]|AuxLogits)\.")
_BRANCH = re.compile(r"(inception\d[a-e]\.)branch4_conv\.")
_OLD_DENSENET = re.compile(r"(.*denselayer\d+\.(?:norm|conv))\.([12]\..+)")


@dataclass(frozen=True)
class Layout:
    """A way to name tensors.

    Attributes:
        name: what messages call it.
        recognises: whether the file's keys are in this layout and the network's own are not.
        undo: gives the tensors under plainer names.
    """

    name: str
    recognises: Callable[[Collection[str], Collection[str]], bool]
    undo: Callable[[State], State]


@dataclass(frozen=True)
class Normaliser:
    """The mean and standard deviation per channel that a checkpoint carries, for images clamped to [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Plain:
    """A checkpoint after its layouts were undone.

    Attributes:
        state: the tensors by the network's own names, as far as the layouts go.
        layouts: names of the layouts undone, outermost first.
        normaliser: what the checkpoint did to images before they reached this network, if anything.
    """

    state: State
    layouts: tuple[str, ...]
    normaliser: Normaliser | None


def plain(state: State, own: Collection[str], origin: str) -> Plain:
    """Return a file's tensors under the names of a network whose own are `own`.

    Raises ModelError where the file's normaliser is no mean and standard deviation per channel.
    """
    undone: tuple[str, ...] = ()
    normaliser = None
    while layout := next((each for each in LAYOUTS if each.recognises(state, own)), None):
        if layout is ROBUSTNESS:
            normaliser = _normaliser(state, origin)
        state, undone = layout.undo(state), (*undone, layout.name)
    return Plain(state, undone, normaliser)


def _normaliser(state: Mapping[str, Tensor], origin: str) -> Normaliser | None:
    """Return the normaliser among the tensors of a checkpoint of the robustness library, if there is one."""
    matches = {key: _STATISTIC.fullmatch(key) for key in state}
    found = {match[1]: state[key].flatten() for key, match in matches.items() if match}
    if not found:
        return None
    mean, std = found.get("mean"), found.get("std")
    if mean is None or std is None or mean.shape != std.shape or not _positive(std) or not mean.isfinite().all():
        values = " and ".join(f"{statistic} {value.tolist()}" for statistic, value in found.items())
        raise ModelError(
            f"Weights {origin} hold a normaliser, which needs a finite mean and a std above 0 for each channel; "
            f"got {values}."
        )
    return Normaliser(_decimals(mean), _decimals(std))


def _positive(values: Tensor) -> bool:
    return bool((values.isfinite() & (values > 0)).all())


def _decimals(values: Tensor) -> tuple[float, ...]:
    """Return the shortest decimals that are the same float32: 0.485 rather than 0.48500001430511475."""
    return tuple(float(str(value)) for value in values.float().numpy())


def _all_under(prefix: str, keys: Collection[str], own: Collection[str]) -> bool:
    return all(key.startswith(prefix) for key in keys) and not any(key.startswith(prefix) for key in own)


def _without(prefix: str, state: State) -> State:
    return {key.removeprefix(prefix): value for key, value in state.items()}


def _has_attacker(keys: Collection[str], own: Collection[str]) -> bool:
    heads = {key.partition(".")[0] for key in keys}
    around = {"normalizer", "attacker"}
    return (
        "model" in heads
        and bool(heads & around)
        and heads <= {"model", *around}
        and not any(key.startswith(("normalizer.", "attacker.")) for key in own)
    )


def _attacked(state: State) -> State:
    """Return the classifier's tensors; the attacker's are the same ones once more."""
    return {key.removeprefix("model."): value for key, value in state.items() if key.startswith("model.")}


def _matching(pattern: re.Pattern[str], keys: Collection[str], own: Collection[str]) -> bool:
    return any(map(pattern.match, keys)) and not any(map(pattern.match, own))


def _pooled(state: State) -> State:
    """Return GoogLeNet with the convolution after each pooling inside the fourth branch, where torchvision has it."""
    return {_BRANCH.sub(r"\1branch4.1.", key): value for key, value in state.items()}


def _headless(state: State) -> State:
    return {key: value for key, value in state.items() if not _AUXILIARY.match(key)}


def _renumbered(state: State) -> State:
    return {_OLD_DENSENET.sub(r"\1\2", key): value for key, value in state.items()}


def _prefixed(prefix: str, name: str) -> Layout:
    return Layout(name, partial(_all_under, prefix), partial(_without, prefix))


ROBUSTNESS = Layout("robustness library", _has_attacker, _attacked)
LAYOUTS = (
    _prefixed("module.", "DataParallel"),
    _prefixed("_orig_mod.", "torch.compile"),
    ROBUSTNESS,
    _prefixed("model.", "training wrapper"),
    Layout("GoogLeNet-R", partial(_matching, _BRANCH), _pooled),
    Layout("auxiliary heads", partial(_matching, _AUXILIARY), _headless),
    Layout("DenseNet of old", partial(_matching, _OLD_DENSENET), _renumbered),
)
"""Every layout; what `undo` gives is no longer recognised, so that undoing them comes to an end."""
