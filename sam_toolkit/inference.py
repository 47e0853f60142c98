"""Networks that run a copy of a user's module in sweeps: batch norm folded, paddings merged, channels last.

The module itself is never touched: its mode, hooks, weights and fingerprint stay. What the copy is like follows from
the module alone, never from a clock; it differs from the module by rounding only, which is tried on seeded rows before
the copy is used. Where somebody looks inside, by hooks, by an own `forward` or by a mode of PyTorch that sees each
call, the module runs as it is; so does one that cannot be traced. Weights that are written to or moved make the copy
again.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sam_toolkit.evaluation import Precision, evaluating, out_of_memory
from sam_toolkit.folding import fold

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_ROUNDING = 1e-4
"""Largest difference that a copy may make, in ranges of the logits; rounding makes about 1e-6."""
_TRIED_ROWS = 2


@dataclass(frozen=True)
class Execution:
    """How a network is run.

    Attributes:
        plain: why the module runs as it is; empty where a copy does.
        folded: batch norms that are folded into convolutions.
        merged: paddings that convolutions do themselves.
        channels_last: whether channels are innermost in memory.
        precision: what operators compute with.
    """

    plain: str = ""
    folded: int = 0
    merged: int = 0
    channels_last: bool = False
    precision: Precision = "float32"

    def __str__(self) -> str:
        """Return it in words."""
        parts = (
            f"as it is: {self.plain}" if self.plain else "",
            f"{self.folded} batch norm{'s' * (self.folded > 1)} folded" if self.folded else "",
            f"{self.merged} padding{'s' * (self.merged > 1)} merged" if self.merged else "",
            "channels last" if self.channels_last else "",
            f"in {self.precision}" if self.precision != "float32" else "",
        )
        return ", ".join(filter(None, parts)) or "as it is"


class Network:
    """A module, and the copy of it that takes its place in sweeps."""

    def __init__(self, module: nn.Module) -> None:
        """Run `module`; its copy is made when inputs of a new size come."""
        self.module = module
        self._made: tuple[object, nn.Module, Execution] = (None, module, Execution())

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return what the module, in evaluation mode, makes of inputs `[N, ...]`."""
        runner, how = self._chosen(inputs)
        if how.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        result: Tensor = runner(inputs)
        return result

    def execution(self, inputs: Tensor) -> Execution:
        """Return how inputs like these are run."""
        with evaluating(self.module):
            return self._chosen(inputs)[1]

    def _chosen(self, inputs: Tensor) -> tuple[nn.Module, Execution]:
        reason = _watched(self.module)
        if reason:
            return self.module, Execution(reason)
        key = (inputs.shape[1:], inputs.dtype, inputs.device, _stamp(self.module))
        if self._made[0] != key:
            with torch.no_grad(), torch.autocast(inputs.device.type, enabled=False):
                self._made = (key, *_copied(self.module, inputs))
        return self._made[1:]


def _copied(module: nn.Module, inputs: Tensor) -> tuple[nn.Module, Execution]:
    """Return the folded copy in the first layout in which it gives what the module gives, and how it is run."""
    try:
        found = fold(module)
    except Exception as error:  # noqa: BLE001 - a user's forward may raise anything when it is traced
        return module, Execution(f"torch.fx cannot trace it ({type(error).__name__})")
    if not found.convolutions:
        return module, Execution("it has no convolutions")
    drawn = torch.randn((_TRIED_ROWS, *inputs.shape[1:]), generator=torch.Generator().manual_seed(0))
    rows = drawn.to(inputs)
    # Measured on CPUs alone: elsewhere the layout stays as it is.
    for channels_last in (True, False) if inputs.device.type == "cpu" else (False,):
        layout = torch.channels_last if channels_last else torch.contiguous_format
        found.lay_out(layout)
        if _agree(module, rows, found.module, rows.contiguous(memory_format=layout)):
            return found.module, Execution("", found.folded, found.merged, channels_last)
    return module, Execution("a copy of it gives other results")


def _agree(module: nn.Module, rows: Tensor, other: nn.Module, same_rows: Tensor) -> bool:
    """Return whether two networks give the same but for rounding; False where one of them fails."""
    try:
        expected, found = module(rows), other(same_rows)
        return bool((found - expected).abs().max() <= _ROUNDING * (expected.max() - expected.min()))
    except (RuntimeError, TypeError, AttributeError) as error:  # a view of another layout, a result that is no tensor
        if isinstance(error, RuntimeError) and out_of_memory(error):
            raise
        return False


def _watched(module: nn.Module) -> str:
    """Return who would see each call of a part of the module, or empty."""
    if torch._C._len_torch_function_stack():
        return "its calls are watched"
    for part in module.modules():
        if any(getattr(part, kind) for kind in _HOOKS):
            return "it has hooks"
        if "forward" in vars(part):
            return "a forward was replaced"
    return ""


def _stamp(module: nn.Module) -> tuple[tuple[int, int, int], ...]:
    """Return what changes when a tensor of the module is written to, moved or replaced."""
    tensors = (*module.parameters(), *module.buffers())
    return tuple((id(one), one.data_ptr(), 0 if one.is_inference() else one._version) for one in tensors)
