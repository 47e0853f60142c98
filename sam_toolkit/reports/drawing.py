"""The look of every figure, and figures as SVG that can stand in a page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec
from xml.etree import ElementTree

from sam_toolkit.reports.wording import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")

INK, MUTED, RULE = "#1d2733", "#5a6675", "#dfe3e8"
COLOURS = ("#0b6fa4", "#c8500f", "#12805c", "#8a4fa3", "#9a7400", "#b83a6b", "#4a5a6a", "#2f8f9d")
"""One a metric or model; each has a contrast of at least 4 to white."""
LINKED = "map-"
"""What the id of a picture on the page begins with: a figure may link to it."""
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "p")

_STYLE: Any = {
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "figure.facecolor": "none",
    "figure.dpi": 96,
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "sam_toolkit",
    "text.color": INK,
    # A "$" in a name is a dollar, not mathematics.
    "text.parse_math": False,
    "xtick.color": RULE,
    "xtick.labelcolor": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.color": RULE,
    "ytick.labelcolor": MUTED,
    "ytick.labelsize": 8.5,
}
_PLAIN = {"Creator": None, "Date": None, "Format": None, "Type": None}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Return `draw` with the style of the reports."""

    @wraps(draw)
    def drawn(*args: P.args, **options: P.kwargs) -> Figure:
        import matplotlib as mpl  # noqa: PLC0415 - a second of import that only a report needs

        with mpl.rc_context(_STYLE):
            return draw(*args, **options)

    return drawn


def svg(figure: Figure, prefix: str, description: str) -> str:
    """Return the figure as an `<svg>` element for HTML: no header, no comments, ids that start with `prefix`."""
    import matplotlib as mpl  # noqa: PLC0415

    buffer = io.BytesIO()
    with mpl.rc_context(_STYLE), any_alphabet():
        figure.savefig(buffer, format="svg", metadata=_PLAIN)
    root = ElementTree.fromstring(buffer.getvalue())
    _clean(root, prefix)
    width, height = (number * 4 / 3 for number in map(float, root.attrib["viewBox"].split()[2:]))
    root.attrib.update(
        {"width": f"{width:.0f}", "height": f"{height:.0f}", "role": "img", "aria-label": printable(description)}
    )
    return ElementTree.tostring(root, encoding="unicode")


@contextmanager
def any_alphabet() -> Iterator[None]:
    """Keep matplotlib quiet about letters that its own font lacks: a page has the reader's fonts."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _clean(root: ElementTree.Element, prefix: str) -> None:
    """Leave out namespaces, style sheets and metadata, which a page has no use for, and rename ids."""
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        named = {name.rpartition("}")[2]: _renamed(name, value, prefix) for name, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update(named)
        for child in [child for child in element if child.tag.rpartition("}")[2] in ("metadata", "style")]:
            element.remove(child)


def _renamed(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return prefix + value
    if name.endswith("href") and not value.startswith(f"#{LINKED}"):
        return value.replace("#", f"#{prefix}", 1)
    return re.sub(r"url\(#", f"url(#{prefix}", value)


def bare(axes: Axes) -> None:
    """Leave out frame and ticks."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def cycled(names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield each name with its colour and marker."""
    for place, name in enumerate(names):
        yield name, COLOURS[place % len(COLOURS)], MARKERS[(place + place // len(COLOURS)) % len(MARKERS)]
