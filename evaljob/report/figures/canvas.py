"""A matplotlib figure that becomes a piece of the page: its colours are the style sheet's variables, its text is text.

Colours are drawn as stand-ins, which no figure needs for itself, and replaced by the variables that follow light and
dark. Nothing global is set beyond the drawing of one figure.
"""

import io
import re
import threading
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

_POINTS = 72  # of an inch
WIDTH, HEIGHT = 4.7, 2.9  # inches: the page shows a figure a little larger, on a phone and on a desk
VARIABLES = ("ink", "muted", "line", "paper", "one", "two", "three", "soft", "good", "bad")
INK, MUTED, LINE, PAPER, ONE, TWO, THREE, SOFT, GOOD, BAD = (f"#0{i:x}f0e{i:x}" for i in range(len(VARIABLES)))
_STAND_INS: Mapping[str, str] = {f"#0{i:x}f0e{i:x}": f"var(--{name})" for i, name in enumerate(VARIABLES)}
_SVG = "http://www.w3.org/2000/svg"
_DROPPED = [f"{{{_SVG}}}{tag}" for tag in ("metadata", "title", "style")]  # its style would be the whole page's
_XLINK = "http://www.w3.org/1999/xlink"
_SETTINGS = {
    "svg.fonttype": "none",
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.8,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.unicode_minus": True,
    "figure.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "lines.solid_capstyle": "round",
    "text.color": INK,
    "text.parse_math": False,  # a name with $ in it is a name
    "timezone": "UTC",
    "xtick.color": LINE,
    "xtick.labelcolor": MUTED,
    "xtick.labelsize": 9.5,
    "ytick.color": LINE,
    "ytick.labelcolor": MUTED,
    "ytick.labelsize": 9.5,
    "ytick.left": False,
}
_METADATA = ("Date", "Creator", "Format", "Type")
_LOCK = threading.Lock()  # matplotlib's settings are the process's


class Chart:
    """One figure while it is drawn, and then its SVG. `name` tells its parts from those of the page's other figures."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.svg = ""

    @contextmanager
    def drawing(self, height: float = HEIGHT, *, beside: float = 6, labeled: bool = True) -> Iterator[Axes]:
        """Axes to draw on; afterwards `svg` is there.

        They leave room for `beside` points on their right, and for axes that are `labeled`. It is the same in all
        figures, so that those above each other line up; fitting it to the letters would take twice the time.
        """
        with _LOCK, rc_context(_SETTINGS | {"svg.hashsalt": self._name}):  # type: ignore[arg-type]
            figure = Figure(figsize=(WIDTH, height))
            FigureCanvasSVG(figure)
            width, tall = WIDTH * _POINTS, height * _POINTS
            figure.subplots_adjust(
                left=(56 if labeled else 42) / width,
                right=1 - beside / width,
                bottom=(36 if labeled else 22) / tall,
                top=1 - 8 / tall,
            )
            yield figure.add_subplot()
            text = io.StringIO()
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Glyph .* missing")  # the reader's browser has more letters than we
                figure.savefig(text, format="svg", metadata=dict.fromkeys(_METADATA))
        self.svg = _embedded(text.getvalue(), self._name)


def _embedded(svg: str, name: str) -> str:
    """The SVG without what a page has itself, its colours as variables and its ids its own."""
    root = ET.fromstring(svg)  # noqa: S314  (matplotlib's own)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in _DROPPED:
                parent.remove(child)
    _rename(root, name)
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        _restyle(element)
    root.attrib = {"viewBox": root.get("viewBox", ""), "aria-hidden": "true", "focusable": "false"}
    return ET.tostring(root, encoding="unicode")


def _rename(root: ET.Element, name: str) -> None:
    """Only what is referred to keeps an id, and one that no other figure of the page has."""
    used = set(re.findall(r"#([\w-]+)", ET.tostring(root, encoding="unicode")))
    for element in root.iter():
        own = element.attrib.pop("id", None)
        if own in used:
            element.set("id", f"{name}-{own}")
        target = element.attrib.pop(f"{{{_XLINK}}}href", None)
        if target is not None:
            element.set("href", f"#{name}-{target.removeprefix('#')}")
        clip = element.get("clip-path")
        if clip is not None:
            element.set("clip-path", clip.replace("url(#", f"url(#{name}-"))


def _restyle(element: ET.Element) -> None:
    style = element.get("style")
    if style is None:
        return
    style = re.sub(r"font: (?:[a-z0-9]+ )*?([\d.]+)px [^;]*", r"font-size: \1px", style)
    element.set("style", re.sub(r"#[0-9a-f]{6}", lambda found: _STAND_INS.get(found[0], found[0]), style))
