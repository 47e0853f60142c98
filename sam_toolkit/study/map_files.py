"""Files of maps: one immutable safetensors file a task, one tensor a key, each checked by its content."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from sam_toolkit.errors import StoreError
from sam_toolkit.study.durable import TEMPORARY, make_folder, write_durably
from sam_toolkit.study.task import MapFile
from sam_toolkit.types import digest, tensor_digest

_SUFFIX = ".safetensors"
_CHECKSUM = "checksum"
_LENGTH = 8
"""Bytes at the start of a safetensors file that give the length of its header."""


class DamagedMapsError(StoreError):
    """A file of maps is missing, cut short, or does not hold what its checksum says."""


def write_maps(
    folder: Path,
    name: str,
    keys: Sequence[str],
    maps: Tensor,
    header: Mapping[str, str],
    beside: Mapping[str, Tensor] | None = None,
) -> MapFile:
    """Write maps `[K, H, W]` as one file of the store at `folder` and return it; any process may call this.

    The file is there in whole or not at all. A key that is listed twice is written once.

    Args:
        folder: the store's folder.
        name: the task's id; its first two characters name the file's folder.
        keys: the K keys of the maps.
        maps: what is written, as float32.
        header: what made the maps, for whoever reads the file without the store.
        beside: further tensors by keys of their own.
    """
    if maps.dim() != 3 or len(keys) != len(maps) or not keys:
        raise StoreError(
            f"File {name} takes maps [K, H, W] and K > 0 keys; got {list(maps.shape)} and {len(keys)} keys."
        )
    tensors = dict(zip(keys, maps.detach().to("cpu", torch.float32).contiguous(), strict=True))
    # Maps may keep the same tensor, but a file has each by itself.
    tensors |= {key: tensor.detach().to("cpu", copy=True).contiguous() for key, tensor in (beside or {}).items()}
    checksum = _contents(header, tensors)
    path = Path("maps", name[:2], name + _SUFFIX)
    data = save(tensors, {**header, _CHECKSUM: checksum})
    try:
        write_durably(folder / path, data)
    except OSError as error:
        raise StoreError(
            f"Maps cannot be written to {folder / path}: {error.strerror}. What was stored before is safe."
        ) from error
    return MapFile(path.as_posix(), checksum, len(data), tuple(tensors))


def is_whole(folder: Path, file: MapFile) -> bool:
    """Return whether a file is there with its size; cheap, and blind to changed bytes."""
    try:
        return (folder / file.path).stat().st_size == file.size
    except FileNotFoundError:
        return False


def read_checked(folder: Path, file: MapFile) -> dict[str, Tensor]:
    """Return every map of a file by key; raises DamagedMapsError where its content has changed."""
    found, tensors = _read(folder, file.path)
    if found.checksum != file.checksum:
        raise DamagedMapsError(f"{folder / file.path} does not hold what was written: its checksum differs.")
    return tensors


def read_some(folder: Path, file: MapFile) -> dict[str, Tensor]:
    """Return only the maps of `file.keys`, without a look at the rest; for files that were checked before."""
    path = folder / file.path
    if not is_whole(folder, file):
        raise DamagedMapsError(f"{path} is missing or cut short.")
    try:
        with safe_open(path, "pt") as content:
            return {key: content.get_tensor(key) for key in file.keys}
    except SafetensorError as error:
        raise DamagedMapsError(f"{path} cannot be read: {error}.") from error


def adopt(folder: Path, path: str) -> MapFile:
    """Return what an unrecorded file holds; raises DamagedMapsError where it is not what its header says."""
    return _read(folder, path)[0]


def stored_files(folder: Path) -> Iterator[str]:
    """Yield the path below `folder` of every finished file of maps."""
    for path in sorted(folder.glob(f"maps/??/*{_SUFFIX}")):
        yield path.relative_to(folder).as_posix()


def sweep(folder: Path) -> None:
    """Remove what killed processes left half written."""
    for path in folder.glob(f"maps/??/*{TEMPORARY}"):
        path.unlink(missing_ok=True)


def set_aside(folder: Path, path: str) -> None:
    """Move a damaged file, where it is still there, to maps/damaged."""
    source = folder / path
    if source.exists():
        aside = folder / "maps" / "damaged"
        make_folder(aside)
        source.replace(aside / source.name)


def _read(folder: Path, name: str) -> tuple[MapFile, dict[str, Tensor]]:
    """Return what a file says of itself and its maps, once both are found to agree."""
    path = folder / name
    try:
        data = path.read_bytes()
        tensors = load(data)
        start = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
        header = json.loads(data[_LENGTH:start])["__metadata__"]
        checksum = header.pop(_CHECKSUM)
    except (FileNotFoundError, SafetensorError, ValueError, KeyError) as error:
        raise DamagedMapsError(f"{path} is missing, cut short or no file of maps: {error}.") from error
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}. Mend that and try again.") from error
    if _contents(header, tensors) != checksum:
        raise DamagedMapsError(f"{path} does not hold what its header says: its checksum differs.")
    return MapFile(name, checksum, len(data), tuple(tensors)), tensors


def _contents(header: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """Return the checksum of all that a file tells, in whatever order it is laid out."""
    return digest(json.dumps(dict(header), sort_keys=True), *_parts(sorted(tensors.items())))


def _parts(items: Iterable[tuple[str, Tensor]]) -> Iterator[str]:
    for key, tensor in items:
        yield key
        yield tensor_digest(tensor)
