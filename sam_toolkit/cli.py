"""The command `sam-toolkit`; torch is imported inside commands only, so that help is instant."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from sam_toolkit import __version__
from sam_toolkit.bench.commands import bench
from sam_toolkit.errors import SamError
from sam_toolkit.new_plugin import WHAT as KINDS

if TYPE_CHECKING:
    from sam_toolkit.registry import Registry
    from sam_toolkit.study.results import Results
    from sam_toolkit.study.spec import Study

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
"""Exit codes: parts of a study failed (its report is written), an error of the user's to mend, Ctrl-C."""

_errors = Console(stderr=True)


class _Guarded(click.Group):
    """Turns errors that name what to do into a message and an exit code instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except SamError as error:
            _errors.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
            sys.exit(BAD_INPUT)


@click.group(cls=_Guarded, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="sam-toolkit")
@click.option("--no-plugins", is_flag=True, help="Load no installed plugin, only the built-in components.")
@click.option("--no-plugin", "blocked", multiple=True, metavar="NAME", help="Leave this plugin out; may be repeated.")
@click.pass_context
def main(context: click.Context, no_plugins: bool, blocked: tuple[str, ...]) -> None:
    """Find out whether a saliency map can be trusted.

    A study varies the arbitrary choices behind attribution maps (hyperparameters, seeds, noise on the input), compares
    the maps and reports which choice matters, how much, and with what certainty.

    \b
    sam-toolkit demo                  a study of a real classifier on real photographs
    sam-toolkit plan study.yaml       what a study will cost, before it runs
    sam-toolkit run study.yaml        run it; run it again to go on after an interruption
    sam-toolkit show smoothgrad       a component's hyperparameters, defaults and ranges
    """
    context.obj = (not no_plugins, tuple(sorted(blocked)))


_variant_option = click.option(
    "--on", "variants", multiple=True, metavar="NAME", help="Take what the study has under `on: NAME`; may be repeated."
)


def _run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option(
            "--output",
            "-o",
            type=click.Path(path_type=Path),
            help="Folder of the run.  [default: runs/TITLE]",
        ),
        click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda:0 ..."),
        click.option(
            "--workers",
            type=click.IntRange(0),
            help="Worker processes; 0: none.  [default: one a core on a CPU, where the study is large enough]",
        ),
        click.option("--open/--no-open", "show", default=None, help="Open the report.  [default: on a terminal]"),
        click.option("--json", "as_json", is_flag=True, help="Print the results as JSON, and nothing else."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@main.command()
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Folder of your own photographs, instead of those bundled.",
)
@click.option("--limit", type=click.IntRange(1), help="Use only so many photographs.")
@_run_options
@click.pass_obj
def demo(plugins: tuple[bool, tuple[str, ...]], /, images: Path | None, limit: int | None, **options: Any) -> None:
    """Run the main job on EfficientNet-Lite0: how far does each method's map move with each hyperparameter?"""
    from sam_toolkit.demo import demo_study

    _run(demo_study(images, limit), plugins, **options)


@main.command()
@click.argument("study", type=click.Path(path_type=Path))
@_variant_option
@_run_options
@click.pass_obj
def run(plugins: tuple[bool, tuple[str, ...]], /, study: Path, **options: Any) -> None:
    """Run the STUDY (a YAML file) and write its report.

    What the output folder has already is not computed again: after an interruption, the same command goes on.
    """
    _run(study, plugins, **options)


def _run(
    source: Any,
    plugins: tuple[bool, tuple[str, ...]],
    output: Path | None,
    show: bool | None,
    as_json: bool,
    variants: tuple[str, ...] = (),
    **options: Any,
) -> None:
    from sam_toolkit.progress import ConsoleProgress
    from sam_toolkit.study.execute import run_study

    console = Console(stderr=as_json)
    study, registry = _load(source, plugins, variants)
    folder = output or Path("runs") / study.title
    with ConsoleProgress(console) as progress:
        try:
            results = run_study(study, folder, progress=progress, **options)
        except KeyboardInterrupt:
            console.print(f"\nInterrupted. Everything computed so far is kept in {folder}; the same command goes on.")
            sys.exit(INTERRUPTED)
    pages, problems = _finish(results, registry, folder, console, as_json)
    if pages and (show or (show is None and not as_json and console.is_terminal)):
        click.launch(str(pages[0]))
    sys.exit(FAILED if results.failures or problems else 0)


def _finish(
    results: Results, registry: Registry, folder: Path, console: Console, as_json: bool
) -> tuple[list[Path], list[str]]:
    from sam_toolkit.reporting import write_reports
    from sam_toolkit.reports.terminal import summary
    from sam_toolkit.study.saved import save, to_json

    save(results, folder)
    pages, problems = write_reports(results, registry, folder)
    if as_json:
        click.echo(json.dumps(to_json(results), indent=1))
    else:
        console.print(summary(results))
        for page in pages[:1]:
            console.print(f"Report: {page.resolve().as_uri()}", soft_wrap=True)
    _warn(problems)
    return pages, problems


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--reporter", "names", multiple=True, help="html, csv, or a plugin's; may be repeated.  [default: all]")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON, and write nothing.")
@click.pass_obj
def report(plugins: tuple[bool, tuple[str, ...]], folder: Path, names: tuple[str, ...], as_json: bool) -> None:
    """Write the report of the finished run in FOLDER again; needs neither models nor photographs."""
    from sam_toolkit.reporting import write_reports
    from sam_toolkit.reports.terminal import summary
    from sam_toolkit.study.saved import load, to_json

    results = load(folder)
    if as_json:
        click.echo(json.dumps(to_json(results), indent=1))
        return
    Console().print(summary(results))
    paths, problems = write_reports(results, _registry(plugins), folder, names)
    for path in paths:
        click.echo(path)
    _warn(problems)
    sys.exit(FAILED if problems else 0)


@main.command()
@click.argument("study", type=click.Path(path_type=Path))
@_variant_option
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda:0 ...")
@click.option("--groups", is_flag=True, help="Show too which settings are computed together.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.pass_obj
def plan(
    plugins: tuple[bool, tuple[str, ...]],
    /,
    study: Path,
    variants: tuple[str, ...],
    device: str,
    groups: bool,
    as_json: bool,
) -> None:
    """Check the STUDY and say what it will cost: network rows with and without sharing, memory, time."""
    from sam_toolkit.study.estimate import estimate
    from sam_toolkit.study.estimate_table import table

    loaded, _ = _load(study, plugins, variants)
    with Console(stderr=True).status("Opening models, timing a few rows"):
        found = estimate(loaded, device)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=1))
    else:
        Console().print(table(found, groups))


@main.command("list")
@click.argument("kind", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_components(plugins: tuple[bool, tuple[str, ...]], kind: str | None, as_json: bool) -> None:
    """List the components that are installed, by KIND (method, pair-metric, ...), and where each comes from."""
    from sam_toolkit.listing import listing, listing_table

    found = listing(*plugins)
    items = found.of_kind(kind)
    if as_json:
        click.echo(json.dumps(items, indent=1))
    else:
        Console().print(listing_table(items))
    _warn(found.failures)


@main.command()
@click.argument("component")
@click.option("--json", "as_json", is_flag=True, help="Print the JSON schema of its hyperparameters.")
@click.pass_obj
def show(plugins: tuple[bool, tuple[str, ...]], component: str, as_json: bool) -> None:
    """Show a COMPONENT: what it does, its hyperparameters with defaults and ranges, its reference."""
    from sam_toolkit.catalogue import description, find

    entries = find(_registry(plugins), component)
    if as_json:
        click.echo(json.dumps([entry.component.Params.model_json_schema() for entry in entries], indent=1))
    else:
        Console().print(*(description(entry) for entry in entries), sep="\n")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def doctor(plugins: tuple[bool, tuple[str, ...]], as_json: bool) -> None:
    """Say what works on this machine, what doesn't, and how to mend it."""
    from sam_toolkit.doctor import diagnose, diagnosis_table
    from sam_toolkit.registry import default_registry

    found = diagnose(default_registry(*plugins))
    if as_json:
        click.echo(json.dumps([item.as_json() for item in found], indent=1))
    else:
        Console().print(diagnosis_table(found))
    sys.exit(FAILED if any(item.state == "broken" for item in found) else 0)


@main.command("new-plugin")
@click.argument("name")
@click.option("--kind", type=click.Choice(list(KINDS)), default="method", show_default=True, help="What it adds.")
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path(), help="Where the package is put.  [default: here]"
)
def create_plugin(name: str, kind: str, folder: Path) -> None:
    """Write the plugin sam-toolkit-NAME to start from: an installable package with its tests and a study."""
    from sam_toolkit.new_plugin import new_plugin

    module, *others = new_plugin(name, kind, folder)
    for path in (module, *others):
        click.echo(path)
    click.echo(f"Next: cd {module.parent}, pip install -e '.[test]', pytest --sam-toolkit-conformance {module.stem}")


main.add_command(bench)


def _registry(plugins: tuple[bool, tuple[str, ...]]) -> Registry:
    from sam_toolkit.registry import default_registry

    registry = default_registry(*plugins)
    _warn(map(str, registry.failures))
    return registry


def _warn(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        _errors.print(sentence, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _load(source: Any, plugins: tuple[bool, tuple[str, ...]], variants: tuple[str, ...] = ()) -> tuple[Study, Registry]:
    from sam_toolkit.study.resolve import load_study

    registry = _registry(plugins)
    return load_study(source, registry, variants=variants), registry
