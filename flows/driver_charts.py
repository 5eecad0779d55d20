"""Charts of the table of drivers: what each journey goes along with, made of its touchpoints; all drawings by name."""

from __future__ import annotations

from typing import Any, Final

import altair as alt
import numpy as np
import pandas as pd

from flows.driver_table import drivers_of, journeys_of
from flows.intervals import styled
from flows.rating_charts import penalty_reward_chart, quadrant_chart
from flows.theme import INK, LINE, MUTED, NEUTRAL, PAPER, Chart
from flows.wording import label, percent, short_name, wrapped

__all__ = ["drawings", "journey_chart", "rated_rows"]

LEFT, WIDTH, RIGHT, ROW, BAR = 170, 600, 160, 46, 24
"""Pixels for the names, the bars and the numbers, the height of a row and of a bar."""

_LETTER: Final = 6.6
"""Pixels of a letter in a segment."""

_DARK, _LIGHT = 0.45, 0.22
"""Opacity of one driver and of several."""

_FEWEST_DOTS: Final = 3
"""Rated drivers from which their averages divide anything."""

_MOST: Final = 12
"""Journeys with a bar of their own."""


def drawings(table: pd.DataFrame) -> dict[str, Chart]:
    """Draw everything that can be drawn, by name: ``journeys_*``, ``ratings_*`` and ``penalty_reward_*`` an outcome."""
    found: dict[str, Chart] = {}
    for outcome in table["outcome"].drop_duplicates():
        if journeys_of(table, outcome)["share"].notna().any():
            found[f"journeys_{outcome}"] = journey_chart(table, outcome)
        rows = rated_rows(table, outcome)
        if len(rows):
            if len(rows) >= _FEWEST_DOTS:
                found[f"ratings_{outcome}"] = quadrant_chart(rows, outcome)
            found[f"penalty_reward_{outcome}"] = penalty_reward_chart(rows, outcome)
    return found


def rated_rows(table: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """Drivers of an outcome that are ratings."""
    rows = drivers_of(table, outcome)
    return rows[rows["kind"] != ""] if "kind" in rows else rows.head(0)


def journey_chart(table: pd.DataFrame, outcome: str) -> alt.LayerChart:
    """Draw one bar a journey, made of its drivers, with the interval of the whole.

    Parameters
    ----------
    table : DataFrame
        From :func:`flows.driver_table.driver_table`.
    outcome : str
        Which; R2 stands in the title.

    Notes
    -----
    Names stand in the segments. Segments too small for their name are joined to one that says how many they are; of
    more than 12 journeys the smallest share one bar.
    """
    journeys = journeys_of(table, outcome)
    journeys = journeys[journeys["share"].notna()].reset_index(drop=True)
    drivers = drivers_of(table, outcome)
    drivers = drivers[drivers["share"].notna()]
    bars = _bars(journeys)
    top = float(np.nanmax([*bars["share"], *bars["share_hi"], 0.01]))
    scale = alt.Scale(domain=[0, top], nice=False)
    segments = _segments(bars, journeys, drivers, WIDTH / top)
    y = alt.Y("rank:O", axis=None, scale=alt.Scale(padding=0))
    once: Any = alt.Chart(bars).encode(y=y)
    parts: Any = alt.Chart(segments).encode(y=y)
    whisker = once.transform_filter("isValid(datum.share_lo)")
    start, end = alt.X("start:Q", scale=scale, axis=_axis()), alt.X2("end:Q")
    low, high = alt.X("share_lo:Q", scale=scale), alt.X("share_hi:Q", scale=scale)
    below = BAR / 2 + 5
    layers = [
        once.mark_rule(color=LINE).encode(
            x=alt.value(-LEFT), x2=alt.value(WIDTH + RIGHT), y=alt.Y("rank:O", axis=None, bandPosition=1)
        ),
        parts.mark_bar(height=BAR, color=NEUTRAL, stroke=PAPER, strokeWidth=2).encode(
            x=start, x2=end, opacity=alt.Opacity("shade:Q", scale=None)
        ),
        whisker.mark_rule(color=INK, strokeWidth=1.5, yOffset=below).encode(x=low, x2="share_hi:Q"),
        *(
            whisker.mark_tick(color=INK, thickness=1.5, size=7, orient="vertical", yOffset=below).encode(x=x)
            for x in (low, high)
        ),
        parts.mark_text(align="left", dx=6, fontSize=12, color=INK).encode(
            x=alt.X("text_at:Q", scale=scale), text="text:N"
        ),
        once.mark_text(align="left", fontSize=13, color=INK, lineBreak="\n", lineHeight=15).encode(
            x=alt.value(-LEFT), text="name:N"
        ),
        once.mark_text(align="left", fontSize=13, fontWeight="bold", color=INK, dy=-7).encode(
            x=alt.value(WIDTH + 16), text="number:N"
        ),
        once.mark_text(align="left", fontSize=12, color=MUTED, dy=9).encode(x=alt.value(WIDTH + 16), text="note:N"),
    ]
    chart: alt.LayerChart = alt.LayerChart(layer=layers).properties(width=WIDTH, height=alt.Step(ROW))
    r2 = float(journeys["r2"].max()) if len(journeys) else np.nan
    title = f"Association with {outcome}: {percent(r2, 1)} of variance explained"
    legend = "bar: the journey's part of it, made of its drivers; line below: 90 % interval of the whole bar"
    return styled(chart, title, legend)


def _axis() -> alt.Axis:
    return alt.Axis(title="Share of what the drivers explain together", format=".0%", tickCount=6)


def _bars(journeys: pd.DataFrame) -> pd.DataFrame:
    """One row a bar, largest first; the smallest journeys of many share the last one."""
    shown = journeys.head(_MOST if len(journeys) <= _MOST else _MOST - 1)
    rest = journeys.iloc[len(shown) :]
    found = pd.DataFrame(
        {
            "name": [wrapped(label(name), 24) for name in shown["journey"]],
            "share": shown["share"],
            "share_lo": shown.get("share_lo", np.nan),
            "share_hi": shown.get("share_hi", np.nan),
        }
    )
    if len(rest):
        last = {"name": [f"{len(rest)} other journeys"], "share": [float(rest["share"].sum())]}
        found = pd.concat([found, pd.DataFrame(last)], ignore_index=True)
    ends = zip(found["share_lo"], found["share_hi"], strict=True)
    notes = ["" if np.isnan(lo) else f"{100 * lo:.0f} to {percent(hi)}" for lo, hi in ends]
    return found.assign(rank=range(len(found)), number=[percent(one) for one in found["share"]], note=notes)


def _segments(bars: pd.DataFrame, journeys: pd.DataFrame, drivers: pd.DataFrame, scale: float) -> pd.DataFrame:
    """One row a segment: from where to where, what is written in or behind it, and how dark it is."""
    rows = []
    for rank in bars["rank"]:
        is_rest = rank >= _MOST - 1 and len(journeys) > _MOST
        own = journeys["journey"].iloc[rank:] if is_rest else journeys["journey"].iloc[rank : rank + 1]
        parts = drivers[drivers["journey"].isin(own)].sort_values("share", ascending=False, kind="stable")
        named = [] if is_rest else _named(parts, scale)
        at, stop = 0.0, float(bars["share"].iloc[rank])
        for text, share in named:
            rows.append((rank, at, at + share, text, at, _DARK))
            at += share
        left = [short_name(str(name)) for name in parts["driver"].iloc[len(named) :]]
        if left:
            text, is_inside = _last(left, (stop - at) * scale, stop * scale)
            rows.append((rank, at, stop, text, at if is_inside else stop, _DARK if len(left) == 1 else _LIGHT))
    return pd.DataFrame(rows, columns=["rank", "start", "end", "text", "text_at", "shade"])


def _named(parts: pd.DataFrame, scale: float) -> list[tuple[str, float]]:
    """Drivers from the largest on whose name fits into their segment."""
    found = []
    for name, share in zip(parts["driver"], parts["share"], strict=True):
        text = short_name(str(name))
        if not _fits(text, share * scale):
            break
        found.append((text, float(share)))
    return found


def _last(left: list[str], width: float, end: float) -> tuple[str, bool]:
    """Name the last segment, in it or behind it, in as many words as there is room for."""
    text = left[0] if len(left) == 1 else f"{len(left)} others"
    if _fits(text, width):
        return text, True
    if _fits(text, WIDTH - end):
        return text, False
    short = f"+{len(left)}"
    return (short, True) if _fits(short, width) else ("", True)


def _fits(text: str, pixels: float) -> bool:
    return len(text) * _LETTER + 10 <= pixels
