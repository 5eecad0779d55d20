"""Small multiples by month: one row a thing, its months side by side, all rows on the same time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt
import pandas as pd

from flows.intervals import LEFT, RIGHT, WIDTH, styled
from flows.theme import INK, LINE, MUTED, NEUTRAL
from flows.wording import wrapped

__all__ = ["MonthRow", "months_plot"]

_WIDE, _HIGH = WIDTH + RIGHT - 50, 46
_HALF = pd.Timedelta(days=15)


@dataclass(frozen=True, slots=True)
class MonthRow:
    """One row: its name, what is said below it, and its values.

    Parameters
    ----------
    name, note : str
        On the left.
    periods : sequence of str
        Months (``YYYY-MM``), or names of waves.
    values : sequence of float
        NaN where there is none: bars are left out, lines break.
    """

    name: str
    note: str
    periods: Sequence[str]
    values: Sequence[float]


def months_plot(
    rows: Sequence[MonthRow],
    title: str,
    subtitle: str = "",
    *,
    mark: Literal["bar", "line"] = "bar",
    ticks: str = "~s",
    top: float | None = None,
) -> alt.VConcatChart:
    """Draw rows below each other.

    Parameters
    ----------
    rows : sequence of MonthRow
        From top to bottom; each has its own scale, from zero.
    title, subtitle : str
        What is shown, and how to read it.
    mark : {"bar", "line"}
        Bars for counts and shares, lines for levels.
    ticks : str
        d3 number format of the vertical axis.
    top : float, optional
        Upper end of the vertical axis, the same for all rows.
    """
    order = sorted({period for row in rows for period in row.periods})
    are_months = all(pd.Series(order).str.fullmatch(r"\d{4}-\d{2}"))
    waves = list(dict.fromkeys(period for row in rows for period in row.periods))
    drawn = [
        _row(row, order if are_months else waves, mark, ticks, top, are_months=are_months, is_last=row is rows[-1])
        for row in rows
    ]
    return styled(alt.vconcat(*drawn, spacing=12), title, subtitle)


def _row(
    row: MonthRow,
    order: Sequence[str],
    mark: str,
    ticks: str,
    top: float | None,
    *,
    are_months: bool,
    is_last: bool,
) -> alt.LayerChart:
    """Draw one row; only the last one carries the names of the months."""
    x = _months_axis(order, is_last=is_last) if are_months else _waves_axis(order, is_last=is_last)
    known = dict(zip(row.periods, row.values, strict=True))
    periods = [f"{period}-01" if are_months else period for period in order]
    values = pd.DataFrame({"period": periods, "n": [known.get(period) for period in order]}, dtype=object)
    written = f"datum.value == 0 ? '0' : format(datum.value, '{ticks}')"
    scale = alt.Scale(domain=[0, top]) if top is not None else alt.Scale(zero=True)
    y = alt.Y("n:Q", title=None, scale=scale, axis=alt.Axis(tickCount=2, labelExpr=written))
    base = alt.Chart(values).encode(x=x, y=y)
    bar_width = 0.8 * _WIDE / max(len(order), 1)
    marks: list[alt.Chart] = [base.mark_bar(color=NEUTRAL, opacity=0.75, width=min(bar_width, 60))]
    if mark == "line":
        marks = [base.mark_line(color=INK, strokeWidth=1.5), base.mark_point(color=INK, fill=INK, size=10, opacity=1)]
    text = alt.Chart(pd.DataFrame({"name": [wrapped(row.name)], "note": [row.note]})).encode(x=alt.value(-LEFT))
    below = 16 * (1 + wrapped(row.name).count("\n"))
    layers = [
        alt.Chart(pd.DataFrame({"y": [0]})).mark_rule(color=LINE).encode(y=alt.Y("y:Q")),
        *marks,
        text.mark_text(align="left", color=INK, lineBreak="\n").encode(text="name:N", y=alt.value(14)),
        text.mark_text(align="left", color=MUTED, fontSize=12).encode(text="note:N", y=alt.value(16 + below)),
    ]
    return alt.LayerChart(layer=layers).properties(width=_WIDE, height=_HIGH)


def _months_axis(order: Sequence[str], *, is_last: bool) -> alt.X:
    ends = pd.to_datetime([order[0], order[-1]])
    domain: list[Any] = [(ends[0] - _HALF).isoformat(), (ends[1] + _HALF).isoformat()]
    axis = alt.Axis(format="%b %Y", grid=False, labelOverlap=True, labels=is_last, tickCount=6)
    return alt.X("period:T", title=None, axis=axis, scale=alt.Scale(domain=domain))


def _waves_axis(order: Sequence[str], *, is_last: bool) -> alt.X:
    axis = alt.Axis(grid=False, labelAngle=0, labelOverlap=True, labels=is_last)
    return alt.X("period:O", title=None, sort=list(order), axis=axis)
