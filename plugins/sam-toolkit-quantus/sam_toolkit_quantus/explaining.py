"""Methods of sam_toolkit as the functions that Quantus calls for explanations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from sam_toolkit import Method


def explain_func(method: Method[Any], seed: int = 0) -> Callable[..., np.ndarray]:
    """Return a function for Quantus's `explain_func`, and for the values of `xai_methods` in `quantus.evaluate`.

    It takes `model`, `inputs` `[N, C, H, W]`, `targets` and `device` and returns `[N, 1, H, W]`; further keywords are
    hyperparameters that differ from the method's. Give each setting a function and a key of its own: `evaluate` hands
    on its key as `method`, which is left aside here.
    """

    def explain(model: nn.Module, inputs: Any, targets: Any, device: Any = None, **fields: Any) -> np.ndarray:
        fields.pop("method", None)
        chosen = type(method)(**{**dict(method.params), **fields})
        where = next(model.parameters(), torch.empty(0)).device if device is None else device
        images = torch.as_tensor(np.asarray(inputs, dtype=np.float32), device=where)
        maps = chosen(model.to(where), images, torch.as_tensor(targets, device=where), seed)
        found: np.ndarray = maps[:, None].cpu().numpy()
        return found

    explain.__name__ = explain.__qualname__ = repr(method)
    return explain
