"""Weights from files into networks: nothing is unpickled unasked, and what does not fit is named."""

from __future__ import annotations

import pickle
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from sam_toolkit.errors import ModelError, near
from sam_toolkit.sources.layouts import Normaliser, State, plain

ENDINGS = (".pth", ".pt", ".th", ".ckpt", ".tar", ".safetensors")
"""How files of weights end."""

_WRAPPERS = ("state_dict", "model", "model_state_dict")
_SHOWN = 3
_REFUSED = re.compile(r"GLOBAL (\S+)")
_ARCHIVE, _LEGACY = b"PK", torch.serialization.MAGIC_NUMBER.to_bytes(10, "little")
"""How a checkpoint of PyTorch begins, and what stands near the beginning of one from before 1.6."""

TRUST_PICKLE = "whether a weights file may be unpickled, which runs any code in it: for files of your own making"
"""What the field `trust_pickle` of a model source means."""


def read_state(path: Path, *, trust_pickle: bool = False) -> State:
    """Return the tensors of a .safetensors file or a PyTorch checkpoint, by the names in the file.

    Raises ModelError where the file is missing, damaged, holds no tensors, or needs unpickling without `trust_pickle`.
    """
    if not path.is_file():
        raise ModelError(f"There is no file of weights {path} (looked from {Path.cwd()}).")
    try:
        checkpoint = _read(path, trust_pickle)
    except ModelError:
        raise
    except ImportError as error:
        raise ModelError(f"Weights {path} need a Python package to be unpickled ({error}): install it.") from error
    except Exception as error:  # PyTorch's reader of checkpoints raises all sorts on files that are none
        reason = str(error).partition(". ")[0].partition("\n")[0] or type(error).__name__
        raise ModelError(
            f"Weights {path} cannot be read ({reason}): the file is damaged, or no .safetensors file or checkpoint "
            "of PyTorch. Bring it again, or save one: torch.save(network.state_dict(), path)."
        ) from error
    return named(checkpoint, str(path))


def named(checkpoint: Any, origin: str) -> State:
    """Return the tensors by name of a checkpoint, which is a state dict or a network, or holds one by a usual key.

    Raises ModelError where there are none.
    """
    for wrapper in _WRAPPERS:
        if isinstance(checkpoint, Mapping) and isinstance(checkpoint.get(wrapper), Mapping | nn.Module):
            checkpoint = checkpoint[wrapper]
    held = checkpoint.state_dict() if isinstance(checkpoint, nn.Module) else checkpoint
    entries = held.items() if isinstance(held, Mapping) else ()
    state = {str(key): value for key, value in entries if isinstance(value, Tensor)}
    if not state:
        keys = f" with {', '.join(map(repr, list(held)[:_SHOWN]))}" if isinstance(held, Mapping) and held else ""
        raise ModelError(f"Weights {origin} hold no tensors by name; got a {type(held).__name__}{keys}.")
    return state


def fill(module: nn.Module, state: State, origin: str) -> Normaliser | None:
    """Copy `state`, in any known layout, into the network; returns the normaliser that it comes with, if any.

    Raises ModelError that counts the tensors that do not fit, and names the first few.
    """
    own = {key: value for key, value in module.state_dict().items() if isinstance(value, Tensor)}
    found = plain(state, own, origin)
    layouts = f" (read as: {', '.join(found.layouts)})" if found.layouts else ""
    refused = f"Weights {origin}{layouts} do not fit {type(module).__name__}: "
    shapes = [key for key, value in found.state.items() if key in own and own[key].shape != value.shape]
    if shapes:
        raise ModelError(refused + _misshapen(shapes, found.state, own))
    versioned = OrderedDict(found.state)
    # Networks that migrate old files (MNASNet) ask for the version, which renaming or safetensors has lost.
    versioned._metadata = {"": {"version": module._version}}  # type: ignore[attr-defined]
    missing, unexpected = module.load_state_dict(versioned, strict=False)
    if missing or unexpected:
        counted = (("missing", missing, own), ("unexpected", unexpected, found.state))
        listed = "; ".join(f"{len(keys)} of {len(all_)} {what}: {_first(keys)}" for what, keys, all_ in counted if keys)
        hint = near(unexpected[0], missing) if unexpected else ""
        raise ModelError(
            f"{refused}{listed}.{hint} They are of another architecture, or named in a layout that is not known."
        )
    return found.normaliser


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw initial weights from `seed`, and leave PyTorch's global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def _read(path: Path, trust_pickle: bool) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        with path.open("rb") as file:
            head = file.read(64)
        if not head.startswith(_ARCHIVE) and _LEGACY not in head:
            raise
        if not trust_pickle:
            raise ModelError(_untrusted(path, str(error))) from error
    return torch.load(path, map_location="cpu", weights_only=False)


def _untrusted(path: Path, reason: str) -> str:
    refused = _REFUSED.search(reason)
    what = f"Python objects beside tensors ({refused[1]})" if refused else "more than a pickle of tensors"
    return (
        f"Weights {path} hold {what}, which only unpickling brings back, and that runs any code in the file. "
        "Save the tensors alone, torch.save(network.state_dict(), path); or, if you trust whoever made the file, "
        "say `trust_pickle: true`."
    )


def _first(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more


def _misshapen(keys: Sequence[str], state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    pairs = [
        f"{key} is {list(state[key].shape)} in the file and {list(own[key].shape)} in the network"
        for key in keys[:_SHOWN]
    ]
    more = f", and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    file, network = state[keys[-1]].shape, own[keys[-1]].shape
    only_classes = len(keys) <= 2 and file[1:] == network[1:] and keys[-1] in list(own)[-2:]
    hint = f" The file has {file[0]} classes: build the network for them (`classes: {file[0]}` in a study)."
    return f"{'; '.join(pairs)}{more}.{hint if only_classes else ''}"
