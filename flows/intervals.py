"""The interval plot: names on the left, estimates with intervals in the middle, the numbers in words on the right."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import altair as alt
import pandas as pd

from flows.theme import BAD, CONFIG, GOOD, INK, LINE, MUTED, NEUTRAL, PAPER, ZERO
from flows.wording import dash, span, wrapped

__all__ = ["LEFT", "RIGHT", "ROW", "WIDTH", "Axis", "Estimates", "Tone", "interval_plot", "styled"]

LEFT, WIDTH, RIGHT, ROW = 265, 410, 255, 36
"""Pixels for the names, the plot and the numbers, and the height of a row."""

Tone = Literal["good", "bad", "neutral", "hollow"]

_SHADES: dict[Tone, str] = {"good": GOOD, "bad": BAD, "neutral": NEUTRAL, "hollow": NEUTRAL}

_Any = TypeVar("_Any", alt.LayerChart, alt.FacetChart, alt.VConcatChart)


@dataclass(frozen=True, slots=True)
class Axis:
    """The measured axis.

    Parameters
    ----------
    title : str
        What is measured, with its unit.
    ticks : str
        d3 number format.
    left, right : str
        What lies on either side of zero; both empty: zero means nothing and no line is drawn.
    bars : bool
        Draw bars from zero rather than points.
    hollow : str
        What a hollow dot means.
    mark : float
        A further value that means something, drawn as a dashed line; NaN: none.
    marked : str
        What the dashed line means.
    line : str
        What the line through a dot or bar means.
    dot : str
        What the dot or the bar means.
    raw : str
        What a hollow diamond means.
    """

    title: str
    ticks: str = ""
    left: str = ""
    right: str = ""
    bars: bool = False
    hollow: str = "hollow dot: hardly observed so far"
    mark: float = math.nan
    marked: str = ""
    line: str = "90 % interval"
    dot: str = "estimate"
    raw: str = "raw contrast, what correlation would have said"


@dataclass(frozen=True, slots=True)
class Estimates:
    """What an interval plot draws, one entry a row, top to bottom.

    Parameters
    ----------
    names : sequence of str
        On the left.
    value, lo, hi : sequence of float
        On the axis; NaN ends draw no interval.
    texts, notes : sequence of str
        On the right: the number, and what is said below it.
    tones : sequence of Tone
        Colour by meaning.
    raw : sequence of float
        A second, hollow mark (NaN: none); empty: none at all.
    """

    names: Sequence[str]
    value: Sequence[float]
    lo: Sequence[float]
    hi: Sequence[float]
    texts: Sequence[str]
    notes: Sequence[str]
    tones: Sequence[Tone]
    raw: Sequence[float] = ()

    @classmethod
    def of(cls, names: Sequence[str], rows: pd.DataFrame, column: str, write: Callable[[float], str]) -> Estimates:
        """Read a value with its `_lo` and `_hi` columns and write each in words; all neutral."""
        stem = column.removesuffix("_effect")
        ends = [f"{stem}_lo", f"{stem}_hi"] if f"{stem}_lo" in rows else ["lo", "hi"]
        value, lo, hi = (rows[name].astype(float).tolist() for name in (column, *ends))
        notes = [span(low, high, write) for low, high in zip(lo, hi, strict=True)]
        return cls(list(names), value, lo, hi, [write(one) for one in value], notes, ["neutral"] * len(value))

    def scaled(self, factor: float) -> Estimates:
        """Multiply what is drawn, not what is written."""
        value, lo, hi, raw = ([factor * one for one in part] for part in (self.value, self.lo, self.hi, self.raw))
        return replace(self, value=value, lo=lo, hi=hi, raw=raw)

    def toned(self, better: Literal["lower", "higher"], verdicts: Sequence[str] = ()) -> Estimates:
        """Colour by whether the interval lies on the better or the worse side of zero; unsupported ones are hollow."""
        tones: list[Tone] = []
        for position, (lo, hi) in enumerate(zip(self.lo, self.hi, strict=True)):
            side: Tone = "neutral"
            if hi < 0 or lo > 0:
                side = "good" if (hi < 0) == (better == "lower") else "bad"
            tones.append("hollow" if verdicts and verdicts[position] == "unsupported" else side)
        return replace(self, tones=tones)


def interval_plot(estimates: Estimates, axis: Axis, title: str) -> alt.LayerChart:
    """Draw estimates with their intervals.

    Notes
    -----
    A raw contrast far outside everything else does not squeeze the estimates: it is drawn as an arrow head at the edge.
    """
    domain = _domain(estimates, axis)
    base = alt.Chart(_rows(estimates, domain)).encode(y=alt.Y("rank:O", axis=None, scale=alt.Scale(padding=0)))
    layers = [
        _row_lines(base),
        *_zero_line(axis, domain),
        *_mark_line(axis, domain),
        *_texts(base),
        *_marks(base, axis, domain),
    ]
    chart = alt.LayerChart(layer=layers).properties(width=WIDTH, height=alt.Step(ROW))
    return styled(chart, title, _legend(estimates, axis))


def styled(chart: _Any, title: str, subtitle: str = "") -> _Any:
    """Apply title and house style to a finished chart."""
    text = alt.TitleParams(text=title, subtitle=subtitle or alt.Undefined)
    result: _Any = chart.properties(title=text).configure(**CONFIG)
    return result


def _legend(estimates: Estimates, axis: Axis) -> str:
    """Say in words what the marks are."""
    parts = []
    if any(math.isfinite(one) for one in estimates.lo):
        parts = [f"{'bar' if axis.bars else 'dot'}: {axis.dot}, line: {axis.line}"]
    if len(estimates.raw):
        parts.append(f"hollow diamond: {axis.raw}")
    if axis.marked:
        parts.append(f"dashed: {axis.marked}")
    return ", ".join([*parts, *([axis.hollow] if "hollow" in estimates.tones and axis.hollow else [])])


def _domain(estimates: Estimates, axis: Axis) -> tuple[float, float]:
    """Room for every interval and, within reason, the raw contrasts; zero is in where it means something."""
    own = [one for part in (estimates.value, estimates.lo, estimates.hi) for one in part if math.isfinite(one)]
    anchors = [0.0] if axis.bars or axis.left or axis.right else []
    anchors += [axis.mark] if math.isfinite(axis.mark) else []
    low, high = min([*own, *anchors], default=0.0), max([*own, *anchors], default=1.0)
    room = 0.75 * (high - low)
    raw = [one for one in estimates.raw if low - room <= one <= high + room]
    low, high = min([low, *raw]), max([high, *raw])
    edge = 0.04 * (high - low) or 0.5 * abs(high) or 1.0
    return (0.0 if axis.bars and low >= 0 else low - edge), high + edge


def _rows(estimates: Estimates, domain: tuple[float, float]) -> pd.DataFrame:
    """One row a mark, with everything that the layers read."""
    raw = list(estimates.raw) or [math.nan] * len(estimates.value)
    names = [wrapped(name) for name in estimates.names]
    return pd.DataFrame(
        {
            "rank": range(len(raw)),
            "label": names,
            "lines": [1 + name.count("\n") for name in names],
            "value": estimates.value,
            "lo": estimates.lo,
            "hi": estimates.hi,
            "text": estimates.texts,
            "note": ["" if note == dash else note for note in estimates.notes],
            "shade": [_SHADES[tone] for tone in estimates.tones],
            "fill": [PAPER if tone == "hollow" else _SHADES[tone] for tone in estimates.tones],
            "raw": [min(max(one, domain[0]), domain[1]) for one in raw],
            "raw_shape": [_raw_shape(one, domain) for one in raw],
        }
    )


def _raw_shape(value: float, domain: tuple[float, float]) -> str:
    """Point outwards where the value lies beyond the plot."""
    if value < domain[0]:
        return "triangle-left"
    return "triangle-right" if value > domain[1] else "diamond"


def _row_lines(base: alt.Chart) -> alt.Chart:
    """Draw a hairline under every row, from the names to the numbers; it also fixes the width of the picture."""
    ends: dict[str, Any] = {"x": alt.value(-LEFT), "x2": alt.value(WIDTH + RIGHT)}
    line: alt.Chart = base.mark_rule(color=LINE).encode(**ends, y=alt.Y("rank:O", axis=None, bandPosition=1))
    return line


def _zero_line(axis: Axis, domain: tuple[float, float]) -> list[alt.Chart]:
    """Where nothing changes, with what lies on either side."""
    if not (axis.left or axis.right):
        return []
    place = WIDTH * (0 - domain[0]) / (domain[1] - domain[0])
    one = alt.Chart(pd.DataFrame({"left": [f"← {axis.left}"], "right": [f"{axis.right} →"]}))
    text: dict[str, Any] = {"color": MUTED, "fontSize": 12, "baseline": "bottom"}
    return [
        one.mark_rule(color=ZERO, strokeWidth=1.5).encode(x=alt.value(place), y=alt.value(-6), y2=alt.value("height")),
        one.mark_text(align="right", dx=-8, **text).encode(x=alt.value(place), y=alt.value(-4), text="left:N"),
        one.mark_text(align="left", dx=8, **text).encode(x=alt.value(place), y=alt.value(-4), text="right:N"),
    ]


def _mark_line(axis: Axis, domain: tuple[float, float]) -> list[alt.Chart]:
    """Draw the further value, as high as the rows."""
    if not math.isfinite(axis.mark):
        return []
    place = WIDTH * (axis.mark - domain[0]) / (domain[1] - domain[0])
    line = alt.Chart(pd.DataFrame({"mark": [axis.mark]})).mark_rule(color=ZERO, strokeWidth=1.5, strokeDash=[4, 4])
    return [line.encode(x=alt.value(place), y=alt.value(0), y2=alt.value("height"))]


def _texts(base: alt.Chart) -> list[alt.Chart]:
    """Names on the left, numbers on the right; two lines stand around the middle of the row."""
    left, right = alt.value(-LEFT), alt.value(WIDTH + 16)
    short, long = base.transform_filter("datum.lines == 1"), base.transform_filter("datum.lines == 2")
    alone, noted = base.transform_filter("!datum.note"), base.transform_filter("datum.note")
    name: dict[str, Any] = {"align": "left", "color": INK, "fontSize": 13, "lineBreak": "\n", "lineHeight": 15}
    number: dict[str, Any] = {"align": "left", "color": INK, "fontSize": 13, "fontWeight": "bold"}
    return [
        short.mark_text(**name).encode(x=left, text="label:N"),
        long.mark_text(**name, dy=-7).encode(x=left, text="label:N"),
        alone.mark_text(**number).encode(x=right, text="text:N"),
        noted.mark_text(**number, dy=-7).encode(x=right, text="text:N"),
        noted.mark_text(align="left", dy=8, color=MUTED, fontSize=12).encode(x=right, text="note:N"),
    ]


def _marks(base: alt.Chart, axis: Axis, domain: tuple[float, float]) -> list[alt.Chart]:
    """Bars or points, their intervals, and the hollow raw contrasts."""
    written = f"datum.value == 0 ? '0' : format(datum.value, '{axis.ticks}')"
    ticks = alt.Axis(title=axis.title or None, tickCount=6, labelExpr=written)
    x = alt.X("value:Q", scale=alt.Scale(domain=list(domain), nice=False, zero=False), axis=ticks)
    lo, hi, raw = alt.X("lo:Q"), alt.X2("hi:Q"), alt.X("raw:Q")
    shade = alt.Color("shade:N", scale=None)
    there, shown = base.transform_filter("isValid(datum.lo)"), base.transform_filter("isValid(datum.raw)")
    if axis.bars:
        bars = base.mark_bar(height=16, opacity=0.6, color=NEUTRAL).encode(x=x)
        return [bars, there.mark_rule(strokeWidth=2, color=INK).encode(x=lo, x2=hi)]
    shape, fill = alt.Shape("raw_shape:N", scale=None), alt.Fill("fill:N", scale=None)
    return [
        there.mark_rule(strokeWidth=6, opacity=0.4, strokeCap="round").encode(x=lo, x2=hi, color=shade),
        shown.mark_point(size=70, stroke=MUTED, strokeWidth=1.5, fill=PAPER, opacity=1).encode(x=raw, shape=shape),
        base.mark_point(size=90, opacity=1, strokeWidth=2).encode(x=x, stroke=shade, fill=fill),
    ]
