"""Value against certainty: what initiatives are worth, how likely they pay, and when their cost is earned back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import altair as alt
import pandas as pd

from flows.charts import SHOWN
from flows.intervals import styled
from flows.theme import BAD, GOOD, INK, MUTED, NEUTRAL, PAPER, ZERO
from flows.wording import money_short, whole, wrapped
from models.simulation import CERTAIN

__all__ = ["certainty_chart", "spaced"]

_WIDTH, _HEIGHT = 620, 460
_ROW: Final = 30
"""Pixels that a label of two lines needs."""
_GAP: Final = 5
"""Between a point and its label, in points of chance."""
_LETTER: Final = 1.15
"""Width of a letter, in points of chance."""

_SHADES: Final = {"worth it": GOOD, "not worth it": BAD, "harmful": BAD}
_WRITTEN: Final = "datum.value == 0 ? '0' : format(datum.value, abs(datum.value) >= 1000 ? '~s' : ',.3~f')"


def certainty_chart(initiatives: pd.DataFrame, currency: str, months: int) -> alt.LayerChart:
    """Net present value with its 90 % interval over the chance to pay, each named where it stands.

    Parameters
    ----------
    initiatives : DataFrame
        As ``journeylift simulate`` leaves it; refused ones are left out. Of more than `flows.charts.SHOWN`, those that
        are worth most.
    currency : str
        Code.
    months : int
        Over which money is counted.
    """
    rows = initiatives[initiatives["npv"].notna()]
    rows = rows.sort_values(["npv", "name"], ascending=[False, True], kind="stable").head(SHOWN)
    domain = _domain(rows)
    values = _placed(rows, domain, currency)
    scale = alt.Scale(domain=list(domain), nice=False, zero=False)
    x = alt.X("chance:Q", scale=alt.Scale(domain=[-4, 104], nice=False), axis=_per_cent())
    ticks = alt.Axis(tickCount=6, labelExpr=_WRITTEN)
    y = alt.Y("npv:Q", scale=scale, title=f"Net present value over {months} months, {currency}", axis=ticks)
    base = alt.Chart(values)
    shade = alt.Color("shade:N", scale=None)
    fill = alt.Fill("fill:N", scale=None)
    bounds = pd.DataFrame({"chance": [100 * (1 - CERTAIN), 100 * CERTAIN]})
    layers = [
        alt.Chart(bounds).mark_rule(color=ZERO, strokeWidth=1, strokeDash=[4, 4]).encode(x=x),
        alt.Chart().mark_rule(color=ZERO, strokeWidth=1.5).encode(y=alt.datum(0)),
        base.mark_rule(color=NEUTRAL, strokeWidth=1).encode(x=x, y=y, x2=alt.X2("label_x:Q"), y2=alt.Y2("label_y:Q")),
        base.mark_rule(strokeWidth=5, opacity=0.4, strokeCap="round").encode(x=x, y="lo:Q", y2="hi:Q", color=shade),
        *_labels(base, scale),
        base.mark_point(size=90, opacity=1, strokeWidth=2).encode(x=x, y=y, stroke=shade, fill=fill),
    ]
    chart = alt.LayerChart(layer=layers).properties(width=_WIDTH, height=_HEIGHT)
    legend = "dot: estimate, line: 90 % interval; right of the right dashed line: worth it; hollow: unsupported"
    return styled(chart, "Value against certainty, by initiative", legend)


def spaced(wanted: Sequence[float], room: float, low: float, high: float) -> list[float]:
    """Move places apart until neighbours have room, as little as needed from the top down.

    Parameters
    ----------
    wanted : sequence of float
        Ascending.
    room : float
        Least distance of neighbours.
    low, high : float
        Between which all shall lie, if there is room.

    Returns
    -------
    list of float
        Ascending.

    Examples
    --------
    >>> spaced([0, 1, 50], 10, 0, 100)
    [0, 10, 50]
    >>> spaced([95, 99], 10, 0, 100)
    [90, 100]
    """
    places: list[float] = []
    for one in wanted:
        places.append(max(one, low if not places else places[-1] + room))
    ceiling = high
    for at in range(len(places) - 1, -1, -1):
        places[at] = min(places[at], ceiling)
        ceiling = places[at] - room
    return places


def _per_cent() -> alt.Axis:
    ticks = [0, 10, 50, 90, 100]
    return alt.Axis(title="Chance to pay: share of the draws that earn more than they cost", values=ticks,
                    labelExpr="datum.value + '\u00a0%'", grid=False)  # fmt: skip


def _domain(rows: pd.DataFrame) -> tuple[float, float]:
    ends = [0.0, *rows[["npv", "npv_lo", "npv_hi"]].to_numpy(float).ravel().tolist()]
    low, high = min(ends), max(ends)
    edge = 0.06 * (high - low) or 1.0
    return low - edge, high + edge


def _placed(rows: pd.DataFrame, domain: tuple[float, float], currency: str) -> pd.DataFrame:
    """Put a label beside every point, towards the middle, none on another."""
    values = pd.DataFrame(
        {
            "chance": 100 * rows["p_npv_positive"].to_numpy(float),
            "npv": rows["npv"].to_numpy(float),
            "lo": rows["npv_lo"].to_numpy(float),
            "hi": rows["npv_hi"].to_numpy(float),
            "label": [wrapped(title, 42, 1) for title in rows["title"]],
            "note": [_note(row, currency) for _, row in rows.iterrows()],
            "shade": [_SHADES.get(verdict, NEUTRAL) for verdict in rows["verdict"]],
        }
    )
    values["fill"] = [
        PAPER if one == "unsupported" else shade for one, shade in zip(rows["verdict"], values["shade"], strict=True)
    ]
    values["side"] = ["left" if chance > 50 else "right" for chance in values["chance"]]
    low, high = domain
    pixel = (high - low) / _HEIGHT
    for side, sign in (("left", -1), ("right", 1)):
        of = values[values["side"] == side].sort_values("npv", kind="stable")
        places = spaced([(one - low) / pixel for one in of["npv"]], _ROW, _ROW / 2, _HEIGHT - _ROW / 2)
        values.loc[of.index, "label_y"] = [low + place * pixel for place in places]
        values.loc[of.index, "label_x"] = of["chance"] + sign * _GAP
    values["label_x"] = [_beside(row, values, pixel) for _, row in values.iterrows()]
    return values


def _beside(row: pd.Series, values: pd.DataFrame, pixel: float) -> float:
    """Start a label further from its point where another interval stands in its way."""
    sign = -1 if row["side"] == "left" else 1
    width = _LETTER * max(len(row["label"]), len(row["note"]))
    start = float(row["label_x"])
    top, bottom = row["label_y"] + _ROW / 2 * pixel, row["label_y"] - _ROW / 2 * pixel
    for ahead in sorted(values.loc[(values["lo"] < top) & (values["hi"] > bottom), "chance"], key=lambda x: sign * x):
        if sign * (ahead - row["chance"]) > 0 and -_GAP < sign * (ahead - start) < width:
            start = ahead + sign * _GAP
    return start


def _note(row: pd.Series, currency: str) -> str:
    """Say the value, and when the cost is earned back."""
    months = float(row["payback_months"])
    back = "cost not earned back" if math.isnan(months) else f"earned back after {whole(months)} months"
    return f"{money_short(row['npv'], currency)} · {'earned back at once' if months == 0 else back}"


def _labels(base: alt.Chart, scale: alt.Scale) -> list[alt.Chart]:
    """Write names and notes, each with an edge of paper that keeps lines from running through them."""
    layers = []
    edge: dict[str, Any] = {"stroke": PAPER, "strokeWidth": 4, "strokeJoin": "round"}
    for side, align, dx in (("left", "right", -5), ("right", "left", 5)):
        there = base.transform_filter(f"datum.side == '{side}'")
        for field, dy, size, colour in (("label:N", -7, 13, INK), ("note:N", 8, 12, MUTED)):
            for drawn in (edge, {}):
                style = {"align": align, "dx": dx, "dy": dy, "color": colour, "fontSize": size, **drawn}
                text = there.mark_text(**style)
                layers.append(text.encode(x=alt.X("label_x:Q"), y=alt.Y("label_y:Q", scale=scale), text=field))
    return layers
