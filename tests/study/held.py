"""How many bytes of tensors are held at once, counted where PyTorch makes them."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Held(TorchDispatchMode):
    """Counts the bytes of all storages made inside the block that live; `peak` is the most of them at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        known = {self._address(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)}
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor) and self._address(leaf) not in known:
                self._add(leaf)
        return result

    def _add(self, tensor: torch.Tensor) -> None:
        storage, address = tensor.untyped_storage(), self._address(tensor)
        if address not in self._seen:
            self._seen.add(address)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._drop, address, storage.nbytes())

    def _drop(self, address: int, size: int) -> None:
        self._seen.discard(address)
        self.now -= size

    @staticmethod
    def _address(tensor: torch.Tensor) -> int:
        return int(tensor.untyped_storage()._cdata)
