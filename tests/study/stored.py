"""Maps in a store, and ways to damage their files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from sam_toolkit.study.map_files import write_maps
from sam_toolkit.study.task import MapFile
from sam_toolkit.types import digest

HEADER = {"method": "gradient", "settings": '[{"samples":2}]'}


def keys_of(task: int, count: int = 3) -> list[str]:
    return [digest("key", str(task), str(number)) for number in range(count)]


def maps_of(task: int, count: int = 3) -> Tensor:
    return torch.randn(count, 5, 7, generator=torch.Generator().manual_seed(task))


def written(folder: Path, task: int) -> MapFile:
    return write_maps(folder, digest("task", str(task)), keys_of(task), maps_of(task), HEADER)


def flip_last_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])


def change_header(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"gradient", b"gradienT"))
