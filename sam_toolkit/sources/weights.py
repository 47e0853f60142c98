"""Weights from files into networks: nothing is unpickled, and what does not fit is named."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from sam_toolkit.errors import ModelError

ENDINGS = (".pth", ".pt", ".th", ".ckpt", ".tar", ".safetensors")
"""How files of weights end."""

_WRAPPERS = ("state_dict", "model")
_SHOWN = 3


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .safetensors file or a PyTorch checkpoint, by the names of a bare network.

    Raises ModelError where the file is missing, damaged, or holds anything but tensors and plain values.
    """
    if not path.is_file():
        raise ModelError(f"There is no file of weights {path} (looked from {Path.cwd()}).")
    try:
        if path.suffix == ".safetensors":
            checkpoint = load_file(path)
        else:
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # PyTorch's reader of checkpoints raises all sorts on files that are none
        raise ModelError(
            f"Weights {path} cannot be read: the file is damaged, or holds Python objects beside tensors, "
            "and those are never unpickled. Save the tensors alone, torch.save(network.state_dict(), path)."
        ) from error
    return clean(checkpoint, str(path))


def clean(checkpoint: Any, origin: str) -> dict[str, Tensor]:
    """Return a checkpoint's state dict, which it is or holds as `state_dict` or `model`, under bare names.

    These lack the `module.` that DataParallel adds. Raises ModelError where there are no tensors.
    """
    for wrapper in _WRAPPERS:
        if isinstance(checkpoint, Mapping) and isinstance(checkpoint.get(wrapper), Mapping):
            checkpoint = checkpoint[wrapper]
    entries = checkpoint.items() if isinstance(checkpoint, Mapping) else ()
    state = {str(key): value for key, value in entries if isinstance(value, Tensor)}
    if not state:
        raise ModelError(f"Weights {origin} hold no tensors by name; got a {type(checkpoint).__name__}.")
    prefix = "module." if all(key.startswith("module.") for key in state) else ""
    return {key.removeprefix(prefix): value for key, value in state.items()}


def fill(module: nn.Module, state: Mapping[str, Tensor], origin: str) -> None:
    """Copy `state` into the network; raises ModelError that names the first few tensors that do not fit."""
    own = {key: value for key, value in module.state_dict().items() if isinstance(value, Tensor)}
    shapes = [key for key, value in state.items() if key in own and own[key].shape != value.shape]
    if shapes:
        raise ModelError(f"Weights {origin} do not fit {type(module).__name__}: {_mismatch(shapes, state, own)}")
    versioned = OrderedDict(state)
    # Networks that migrate old files (MNASNet) ask for the version, which renaming or safetensors has lost.
    versioned._metadata = {"": {"version": module._version}}  # type: ignore[attr-defined]
    missing, unexpected = module.load_state_dict(versioned, strict=False)
    problems = [f"{what} {_first(keys)}" for what, keys in (("missing", missing), ("unexpected", unexpected)) if keys]
    if problems:
        raise ModelError(
            f"Weights {origin} do not fit {type(module).__name__}: {'; '.join(problems)}. "
            "They are of another architecture, or their names carry a prefix of the training code."
        )


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw initial weights from `seed`, and leave PyTorch's global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def _first(keys: list[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more


def _mismatch(keys: list[str], state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    pairs = [
        f"{key} is {list(state[key].shape)} in the file and {list(own[key].shape)} in the network"
        for key in keys[:_SHOWN]
    ]
    more = f", and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    file, network = state[keys[-1]].shape, own[keys[-1]].shape
    only_classes = len(keys) <= 2 and file[1:] == network[1:] and keys[-1] in list(own)[-2:]
    hint = f" The file has {file[0]} classes: build the network for them (`classes: {file[0]}` in a study)."
    return f"{'; '.join(pairs)}{more}.{hint if only_classes else ''}"
