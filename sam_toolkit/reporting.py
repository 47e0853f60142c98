"""Has every reporter write, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sam_toolkit.component import Reporter
from sam_toolkit.errors import SamError
from sam_toolkit.registry import Registry
from sam_toolkit.study.faults import blamed
from sam_toolkit.study.results import Results


def write_reports(
    results: Results, registry: Registry, folder: Path, names: Sequence[str] = ()
) -> tuple[list[Path], list[str]]:
    """Return the files that reporters of these names (or all) wrote, and what is to be said of those that failed.

    The page to open comes first. Raises PluginError for a name that no reporter has.
    """
    known = [entry.component.name for entry in registry.entries(Reporter)]
    chosen = [registry.get(Reporter, name) for name in names or sorted(known, key=lambda name: name != "html")]
    files: list[Path] = []
    problems: list[str] = []
    for reporter in chosen:
        try:
            with blamed(f"Reporter {reporter.name!r}"):
                files += reporter().write(results, folder)
        except SamError as error:
            problems.append(str(error))
    return files, problems
