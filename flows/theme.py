"""How everything we draw looks: one palette, one chart configuration, and charts turned into SVG or PNG.

Charts carry the palette's light colours, so that a file on its own (MLflow, a slide) reads well. Inside the report
`inline_svg` swaps each of them for the CSS variable of the same name, and the page decides between light and dark.
"""

from __future__ import annotations

import io
import re
from typing import Any, Final

import altair as alt

__all__ = [
    "BAD", "CONFIG", "FONT", "GOOD", "INK", "LINE", "MUTED", "NEUTRAL", "PAPER", "ZERO", "Chart",
    "inline_svg", "to_png", "to_svg",
]  # fmt: skip

# Blue and vermilion stay apart for every common colour blindness (Okabe, Ito 2008, darkened for contrast on white).
INK: Final = "#1b2530"
MUTED: Final = "#53606d"
LINE: Final = "#dde2e8"
ZERO: Final = "#7e8a96"
PAPER: Final = "#fdfefe"
GOOD: Final = "#1d62ab"
BAD: Final = "#bb4510"
NEUTRAL: Final = "#747f8b"

_VARIABLES: Final = {
    INK: "ink", MUTED: "muted", LINE: "line", ZERO: "zero", PAPER: "paper",
    GOOD: "good", BAD: "bad", NEUTRAL: "neutral",
}  # fmt: skip

FONT: Final = "Helvetica, Arial, sans-serif"

CONFIG: Final[dict[str, Any]] = {
    "background": "transparent",
    "aria": False,
    "font": FONT,
    "padding": {"left": 0, "right": 4, "top": 4, "bottom": 6},
    "view": {"stroke": None},
    "axis": {
        "domain": False,
        "ticks": False,
        "grid": True,
        "gridColor": LINE,
        "labelColor": MUTED,
        "labelFontSize": 12,
        "labelPadding": 8,
        "titleColor": MUTED,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 10,
    },
    "title": {
        "anchor": "start",
        "color": INK,
        "fontSize": 15,
        "fontWeight": "bold",
        "subtitleColor": MUTED,
        "subtitleFontSize": 12,
        "subtitlePadding": 6,
        "offset": 16,
    },
    "header": {"labelColor": INK, "labelFontSize": 13, "labelFontWeight": "bold", "title": None},
    "text": {"color": INK, "fontSize": 13, "font": FONT},
}

Chart = alt.Chart | alt.LayerChart | alt.FacetChart | alt.VConcatChart


def to_svg(chart: Chart) -> str:
    """Draw a chart as SVG text with a transparent background, without any network."""
    buffer = io.StringIO()
    chart.save(buffer, format="svg")
    return buffer.getvalue()


def to_png(chart: Chart) -> bytes:
    """Draw a chart as PNG on white, at twice the size, for places that cannot show SVG."""
    buffer = io.BytesIO()
    chart.configure(**(CONFIG | {"background": "white"})).save(buffer, format="png", scale_factor=2)
    return buffer.getvalue()


def inline_svg(svg: str, prefix: str) -> str:
    """Make an SVG fit into a page beside others: the page's colours, its own ids, no namespaces, no fixed size.

    Parameters
    ----------
    svg : str
        As `to_svg` gives it.
    prefix : str
        Put in front of every id, so that two charts of one page never share a clip path.

    Returns
    -------
    str
        Without the page's own marking-up (role, label), which the page adds around it.
    """
    for colour, name in _VARIABLES.items():
        svg = svg.replace(f'"{colour}"', f'"var(--{name},{colour})"')
    svg = re.sub(r'\s(xmlns|xmlns:xlink|role|aria-roledescription)="[^"]*"', "", svg)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg).replace("url(#", f"url(#{prefix}-")
    return re.sub(r'(<svg[^>]*?) width="([\d.]+)" height="[\d.]+"', r'\1 style="max-width:\2px"', svg, count=1)
