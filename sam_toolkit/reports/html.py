"""The report for people: one page that needs nothing but itself."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from sam_toolkit.component import Reporter
from sam_toolkit.reports.wording import chance, number, printable, ranked
from sam_toolkit.study.results import Results
from sam_toolkit.types import Params

FILE = "report.html"


class HtmlReport(Reporter[Params]):
    """Writes `report.html`: verdict, a section a method with curves, tables and maps, provenance.

    The page opens offline, asks for nothing from anywhere, and is the same bytes for the same results.
    """

    name = "html"

    def write(self, results: Results, folder: Path) -> list[Path]:
        """Write the page into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / FILE
        path.write_text(render(results), encoding="utf-8", newline="\n")
        return [path]


def render(results: Results) -> str:
    """Return the page as text; whatever the results name is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - with matplotlib, seconds of import
    from markupsafe import Markup  # noqa: PLC0415

    from sam_toolkit.reports.bounds import magnitude  # noqa: PLC0415
    from sam_toolkit.reports.page import bracket, extras_text, interval_text, page_of  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader("sam_toolkit.reports", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    folder = files("sam_toolkit.reports") / "template"
    environment.filters.update(
        {
            "number": number,
            "bracket": bracket,
            "extras": extras_text,
            "how": interval_text,
            "prose": _prose,
            "ranked": ranked,
            "chance": chance,
            "magnitude": magnitude,
        }
    )
    return environment.get_template("report.html.j2").render(
        page=page_of(results),
        style=Markup((folder / "report.css").read_text(encoding="utf-8")),
        script=Markup((folder / "report.js").read_text(encoding="utf-8")),
        version=_version(),
    )


def _prose(sentence: str) -> str:
    """Return a sentence as HTML: escaped, with `backquoted` names as code."""
    from markupsafe import Markup, escape  # noqa: PLC0415

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(printable(sentence)))))


def _version() -> str:
    from sam_toolkit import __version__  # noqa: PLC0415 - the package imports its reports

    return __version__
