"""The commands `sam-toolkit bench ...`; what needs PyTorch is imported inside, so that help is instant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from sam_toolkit import allocator
from sam_toolkit.bench.growth_settings import AXES
from sam_toolkit.bench.settings import DTYPES, OPERATORS, WINDOWS, Settings
from sam_toolkit.bench.study_settings import LITE, NETWORKS, StudyCase
from sam_toolkit.errors import BenchError

if TYPE_CHECKING:
    from pydantic import BaseModel

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
    _begin(file)
    from sam_toolkit.bench import run, tables

    console = _headed(settings.device)
    report = run.run(settings, lambda case: console.print(tables.case_table(case)))
    if file:
        _save(report, file)


def _begin(file: Path | None) -> None:
    """Refuse a file that cannot be written, and keep large buffers."""
    if file and not file.absolute().parent.is_dir():
        raise BenchError(f"bench: --json must name a file in a folder that is there; got {file}.")
    allocator.keep_buffers()


def _headed(device: str = "cpu") -> Console:
    """Return a console that has said what the times belong to."""
    from sam_toolkit.bench import run, tables

    console = Console()
    console.print(tables.heading(run.machine(device), run.versions()))
    console.print(run.caution(), style="yellow")
    return console


def _save(report: BaseModel, file: Path) -> None:
    from sam_toolkit.bench import records

    records.save(report, file)


def _whole_studies(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of all that times whole studies."""
    file = click.Path(dir_okay=False, path_type=Path)
    for option in (
        click.option("--json", "file", type=file, help="Also write all to this file."),
        click.option("--threads", type=click.IntRange(1), help="CPU threads.  [default: all that PyTorch uses]"),
        click.option("--quick", is_flag=True, help="Less of everything, for a first look."),
    ):
        command = option(command)
    return command


@bench.command()
@click.option(
    "--network", "networks", type=click.Choice(NETWORKS), multiple=True, help="May be repeated.  [default: all]"
)
@click.option("--workers", type=click.IntRange(0), default=0, help="Processes for our maps; 0: none beside this one.")
@_whole_studies
def study(networks: tuple[str, ...], workers: int, quick: bool, threads: int | None, file: Path | None) -> None:
    """Time the study of SAM on one photograph against the script that a user would write, in its quickest ways."""
    _begin(file)
    from sam_toolkit.bench import run, study, study_tables
    from sam_toolkit.bench.study_records import StudyReport

    console, found = _headed(), []
    for network in networks or ((LITE,) if quick else NETWORKS):
        case = StudyCase.of(network, quick, threads=threads or 0, workers=workers)
        found.append(study.run_case(case, lambda text: console.print(text, style="dim")))
        console.print(study_tables.study_table(found[-1]))
    if file:
        settings = {"quick": quick, "threads": threads or 0, "workers": workers}
        machine, versions = run.machine("cpu"), run.versions()
        _save(StudyReport(machine=machine, versions=versions, settings=settings, studies=tuple(found)), file)


@bench.command()
@click.option("--axis", "axes", type=click.Choice(list(AXES)), multiple=True, help="May be repeated.  [default: all]")
@_whole_studies
def sharing(axes: tuple[str, ...], quick: bool, threads: int | None, file: Path | None) -> None:
    """Measure how rows, time and memory of a study grow with its settings, positions, images and size."""
    _begin(file)
    from sam_toolkit.bench import growth, run, study_tables
    from sam_toolkit.bench.study_records import GrowthReport

    console, found = _headed(), []
    for grown in growth.growths(axes or tuple(AXES), quick, threads or 0):
        found.append(grown)
        console.print(study_tables.growth_table(grown))
    if file:
        settings = {"quick": quick, "threads": threads or 0}
        machine, versions = run.machine("cpu"), run.versions()
        _save(GrowthReport(machine=machine, versions=versions, settings=settings, growths=tuple(found)), file)


@bench.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--tolerance", type=click.FloatRange(0, 1), default=0.05, show_default=True, help="What counts as same.")
def compare(old: Path, new: Path, tolerance: float) -> None:
    """Say of each row of two files of `bench kernels --json`: same, faster, slower or unclear."""
    from sam_toolkit.bench.compare import comparison
    from sam_toolkit.bench.records import load

    Console().print(comparison(load(old), load(new), tolerance))
