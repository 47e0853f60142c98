"""The commands `sam-toolkit bench ...`; what needs PyTorch is imported inside, so that help is instant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from sam_toolkit import allocator
from sam_toolkit.bench.settings import DTYPES, OPERATORS, WINDOWS, Settings
from sam_toolkit.errors import BenchError

_USUAL = Settings()


def _many(flag: str, name: str, kind: click.ParamType[Any], about: str) -> Callable[..., Any]:
    usual = " ".join(map(str, getattr(_USUAL, name)))
    about = f"{about}; may be repeated.  [default: {usual if usual != '0' else 'all that PyTorch uses'}]"
    return click.option(flag, name, type=kind, multiple=True, help=about)


_OPTIONS = (
    _many("--op", "operators", click.Choice(OPERATORS), "Operators"),
    _many("--maps", "maps", click.IntRange(2), "Maps of which all pairs are compared"),
    _many("--growth", "growth", click.IntRange(2), "Maps, to see whether the time of a pair grows with them"),
    _many("--size", "sizes", click.IntRange(7), "Sides of maps and images"),
    _many("--window", "windows", click.Choice(list(WINDOWS)), "SSIM windows"),
    _many("--dtype", "dtypes", click.Choice(DTYPES), "Types of the values"),
    _many("--threads", "threads", click.IntRange(1), "CPU threads"),
    click.option("--patch", type=click.IntRange(1), help=f"Side of the patch.  [default: {_USUAL.patch}]"),
    click.option("--stride", type=click.IntRange(1), help=f"Its step; not over its side.  [default: {_USUAL.stride}]"),
    click.option(
        "--peer-pairs",
        type=click.IntRange(1),
        help=f"Pairs that peers get which share nothing between pairs.  [default: {_USUAL.peer_pairs}]",
    ),
    click.option("--rounds", type=click.IntRange(1), help=f"Samples of each.  [default: {_USUAL.rounds}]"),
    click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1 ..."),
    click.option("--quick", is_flag=True, help="Smaller defaults, for a first look."),
    click.option(
        "--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Also write all to this file."
    ),
)


@click.group()
def bench() -> None:
    """Measure the compiled operators against what could be used instead, and compare two measurements."""


def _kernel_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@bench.command()
@_kernel_options
def kernels(quick: bool, file: Path | None, **chosen: Any) -> None:
    """Time SSIM, occlusion and LENS against other libraries and plain PyTorch, in one process, in turns."""
    settings = Settings.of(quick, **chosen)
    if file and not file.absolute().parent.is_dir():
        raise BenchError(f"bench: --json must name a file in a folder that is there; got {file}.")
    allocator.keep_buffers()
    from sam_toolkit.bench import records, run, tables

    console = Console()
    console.print(tables.heading(run.machine(settings.device), run.versions()))
    console.print(run.caution(), style="yellow")
    report = run.run(settings, lambda case: console.print(tables.case_table(case)))
    if file:
        records.save(report, file)


@bench.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--tolerance", type=click.FloatRange(0, 1), default=0.05, show_default=True, help="What counts as same.")
def compare(old: Path, new: Path, tolerance: float) -> None:
    """Say of each row of two files of `bench kernels --json`: same, faster, slower or unclear."""
    from sam_toolkit.bench.compare import comparison
    from sam_toolkit.bench.records import load

    Console().print(comparison(load(old), load(new), tolerance))
