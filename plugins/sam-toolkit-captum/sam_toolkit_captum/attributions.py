"""Any method of sam_toolkit as an attribution of captum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from captum.attr import Attribution
from captum.log import log_usage
from torch import Tensor, nn

from sam_toolkit import ComponentError, Method

Target = int | Tensor | tuple[int, ...] | Sequence[int] | Sequence[tuple[int, ...]] | None
"""What captum takes for a target; None where the network gives one number an example."""


class SamAttribution(Attribution):  # type: ignore[misc]
    """A method of sam_toolkit with captum's face: `SamAttribution(net, SmoothGrad()).attribute(inputs, target=3)`.

    Maps of one number a pixel are repeated over the channels, so that attributions have the shape of the inputs.
    """

    def __init__(self, forward_func: Callable[..., Tensor], method: Method[Any] | type[Method[Any]]) -> None:
        """Take a network, or a function of its inputs, and a method, or its class for the defaults.

        Methods that look into the network, such as Grad-CAM, need an `nn.Module`.
        """
        super().__init__(forward_func)
        self.method = method() if isinstance(method, type) else method

    def get_name(self) -> str:
        """Return the method's name."""
        return self.method.name

    @log_usage()  # type: ignore[untyped-decorator] # brings the `__wrapped__` that captum's NoiseTunnel calls
    def attribute(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        target: Target = None,
        additional_forward_args: Any = None,
        seed: int = 0,
        **fields: Any,
    ) -> Tensor | tuple[Tensor, ...]:
        """Return attributions of the inputs' shape, kind and dtype.

        Args:
            inputs: `[N, C, H, W]`, or a tuple of one such tensor.
            target: as for captum.
            additional_forward_args: what the network takes besides; tensors go with their images, row by row.
            seed: all draws follow from it, from the method's own seed, and from each image's content.
            **fields: hyperparameters that differ from the method's.

        Raises:
            ComponentError: where there are several inputs, or the method has no such hyperparameter.
        """
        images = inputs[0] if isinstance(inputs, tuple) else inputs
        if isinstance(inputs, tuple) and len(inputs) != 1:
            raise ComponentError(f"SamAttribution: inputs must be one tensor [N, C, H, W]; got {len(inputs)} tensors.")
        method = type(self.method)(**{**dict(self.method.params), **fields})
        given = additional_forward_args
        extra = () if given is None else given if isinstance(given, tuple) else (given,)
        with torch.enable_grad():
            maps = self._maps(method, images.detach(), target, extra, seed)
        found = maps[:, None].to(images).expand(images.shape).contiguous()
        return (found,) if isinstance(inputs, tuple) else found

    def _maps(self, method: Method[Any], images: Tensor, target: Target, extra: tuple[Any, ...], seed: int) -> Tensor:
        """Return maps `[N, H, W]`; where other tensors go with the images, of these one by one."""
        network = self.forward_func
        if not isinstance(network, nn.Module) or extra or images.dtype != torch.float32 or _other_outputs(target):
            network = _Scores(self.forward_func, extra, images.dtype)
            with torch.no_grad():
                shape = network.called(images).shape[1:]
            target = _flat(target, shape)
        targets = torch.as_tensor(target, device=images.device).reshape(-1).expand(len(images))
        if not any(_of_rows(each) for each in extra):
            return method(network, images, targets, seed)
        one_by_one = [
            method(_Scores(self.forward_func, _row(extra, number), images.dtype), image[None], targets[number], seed)
            for number, image in enumerate(images)
        ]
        return torch.cat(one_by_one)


class _Scores(nn.Module):
    """A function of images and more as a network of images alone, which gives `[N, K]`."""

    def __init__(self, function: Callable[..., Tensor], extra: tuple[Any, ...], dtype: torch.dtype) -> None:
        super().__init__()
        self.function = function  # a module's parts are found through it
        self._extra = extra
        self._dtype = dtype

    def called(self, images: Tensor) -> Tensor:
        """Return what the function itself gives."""
        rows = len(images)
        extra = [each.expand(rows, *each.shape[1:]) if _of_rows(each) else each for each in self._extra]
        found: Tensor = self.function(images.to(self._dtype), *extra)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Return scores `[N, K]`."""
        found = self.called(images)
        return (found[:, None] if found.dim() == 1 else found.flatten(1)).float()


def _other_outputs(target: Target) -> bool:
    """Return whether the target is of outputs other than `[N, K]`."""
    return target is None or isinstance(target, tuple) or (isinstance(target, list) and isinstance(target[0], tuple))


def _flat(target: Target, shape: Sequence[int]) -> Any:
    """Return the target, or one an image, as indices into outputs of `shape` laid out in a row."""
    if target is None:
        return 0
    if isinstance(target, tuple):
        return int(np.ravel_multi_index(target, tuple(shape)))
    return [_flat(one, shape) for one in target] if isinstance(target, list) else target


def _of_rows(extra: Any) -> bool:
    return isinstance(extra, Tensor) and extra.dim() > 0


def _row(extra: tuple[Any, ...], number: int) -> tuple[Any, ...]:
    return tuple(each[number : number + 1] if _of_rows(each) else each for each in extra)
