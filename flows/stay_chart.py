"""How long customers stay by what they went through: survival curves with bands, names at their ends, rows at risk."""

from __future__ import annotations

from typing import Any, Final

import altair as alt
import numpy as np
import pandas as pd

from features.measures import Feature
from flows.intervals import styled
from flows.theme import BAD, GOOD, INK, LINE, MUTED, NEUTRAL, ZERO
from flows.wording import label, percent, whole
from models.experience import NOTHING

__all__ = ["experience_name", "stay_chart"]

_LEFT, _WIDTH, _HIGH, _RIGHT, _ROW = 190, 470, 270, 250, 20
"""Pixels for the names of groups, the curves, and the height of a row at risk."""

_LETTERS: Final = 1.1
"""Room of a name at the end of a curve, in lines."""


def stay_chart(curves: pd.DataFrame, title: str) -> alt.VConcatChart:
    """Draw the share of customers still there month by month, one step line a group.

    Parameters
    ----------
    curves : DataFrame
        Of one experience, from :func:`flows.departures.survival_by`: groups from best to worst, last who had none.
    title : str
        What was gone through; the chart adds that it is an association.
    """
    names = list(dict.fromkeys(curves["segment"]))
    shades = _shades(names)
    values = pd.concat([_begun(curves[curves["segment"] == name]) for name in names], ignore_index=True)
    values = values.assign(shade=values["segment"].map(shades), is_dashed=values["segment"] == NOTHING)
    low = max(0.0, float(np.floor(values["lo"].min() / 5) * 5))
    last = int(values["month"].max())
    x = alt.X("month:Q", title="Months after the cutoff", scale=alt.Scale(domain=[0, last], nice=False), axis=_months())
    scale = alt.Scale(domain=[low, 100], nice=False)
    y = alt.Y("survival:Q", title="Still there, %", scale=scale, axis=alt.Axis(tickCount=5))
    shade = alt.Color("shade:N", scale=None)
    each = alt.Detail("segment:N")
    base: Any = alt.Chart(values).encode(x=x, color=shade, detail=each)
    ends = _ends(values, names, (100 - low) / _HIGH * 17)
    text: Any = alt.Chart(ends).encode(x=alt.value(_WIDTH + 10), y=alt.Y("at:Q", scale=scale), color=shade)
    curve = {"interpolate": "step-after", "strokeWidth": 2}
    layers = [
        base.mark_area(opacity=0.15, interpolate="step-after").encode(y=alt.Y("lo:Q", scale=scale), y2="hi:Q"),
        base.transform_filter("!datum.is_dashed").mark_line(**curve).encode(y=y),
        base.transform_filter("datum.is_dashed").mark_line(**curve, strokeDash=[4, 4]).encode(y=y),
        text.mark_text(align="left", fontSize=12, fontWeight="bold").encode(text="text:N"),
    ]
    top = alt.LayerChart(layer=layers).properties(width=_WIDTH, height=_HIGH)
    subtitle = "line: share of customers observed to stay, band: 90 % interval; below: rows still followed"
    drawn = alt.vconcat(top, _at_risk(values, names, last), spacing=8)
    result: alt.VConcatChart = styled(drawn, f"Association of staying with {title}", subtitle)
    return result


def experience_name(feature: Feature) -> str:
    """Name an experience of :func:`models.experience.experience_features` for titles: "support: wait, mean (min)"."""
    what = "how often something went wrong" if feature.measure is None else f"{label(feature.measure)}, mean"
    return f"{label(feature.journey)}: {what}" + (f" ({feature.unit})" if feature.measure else "")


def _begun(curve: pd.DataFrame) -> pd.DataFrame:
    """Start a curve at 100 % and write it in per cent; rows at risk stand at the beginning of their month."""
    parts = {name: [100.0, *(100 * curve[name].astype(float))] for name in ("survival", "lo", "hi")}
    at_risk = [*curve["at_risk"].astype(float), np.nan]
    months = [0, *curve["month"].astype(int)]
    return pd.DataFrame({"segment": curve["segment"].iloc[0], "month": months, "at_risk": at_risk, **parts})


def _shades(names: list[str]) -> dict[str, str]:
    """Blue for the best, vermilion for the worst, grey between or alone; who had none is drawn in ink, dashed."""
    met = [name for name in names if name != NOTHING]
    between = dict.fromkeys(met[1:-1], NEUTRAL)
    ends = {met[-1]: BAD, met[0]: GOOD} if len(met) > 1 else dict.fromkeys(met, NEUTRAL)
    return {NOTHING: INK} | between | ends


def _ends(values: pd.DataFrame, names: list[str], least: float) -> pd.DataFrame:
    """Name each curve at its end, names far enough apart to be read."""
    last = values.groupby("segment", sort=False).tail(1).set_index("segment").loc[names].reset_index()
    told = [
        f"{percent(one / 100, 1)} ({lo:.1f} to {hi:.1f})"
        for one, lo, hi in zip(last["survival"], last["lo"], last["hi"], strict=True)
    ]
    last = last.assign(text=[f"{name.split(':')[0]}: {text}" for name, text in zip(names, told, strict=True)])
    height, places = -np.inf, {}
    for index, value in last["survival"].sort_values(kind="stable").items():
        height = max(float(value), height + _LETTERS * least)
        places[index] = height
    return last.assign(at=last.index.map(places).astype(float))


def _at_risk(values: pd.DataFrame, names: list[str], last: int) -> alt.LayerChart:
    """Rows still followed at the beginning of some months, one line a group."""
    shown = sorted({0, *range(0, last, 3 if last > 4 else 1)})
    rows = values[values["month"].isin(shown) & values["at_risk"].notna()]
    rows = rows.assign(text=[whole(one) for one in rows["at_risk"]], rank=rows["segment"].map(names.index))
    heads = pd.DataFrame({"rank": range(len(names)), "name": names, "shade": [_shades(names)[name] for name in names]})
    x = alt.X("month:Q", scale=alt.Scale(domain=[0, last], nice=False), axis=None)
    y = alt.Y("rank:O", axis=None, scale=alt.Scale(padding=0))
    head: Any = alt.Chart(heads)
    ends = {"x": alt.value(-_LEFT), "x2": alt.value(_WIDTH + _RIGHT)}
    name = {"align": "left", "fontSize": 12, "limit": _LEFT - 12}
    layers = [
        head.mark_rule(color=LINE).encode(**ends, y=alt.Y("rank:O", axis=None, bandPosition=0)),
        head.mark_text(**name).encode(x=alt.value(-_LEFT), y=y, text="name:N", color=alt.Color("shade:N", scale=None)),
        alt.Chart(rows).mark_text(fontSize=12, color=MUTED, align="center").encode(x=x, y=y, text="text:N"),
    ]
    chart: alt.LayerChart = alt.LayerChart(layer=layers).properties(width=_WIDTH, height=_ROW * len(names))
    return chart


def _months() -> alt.Axis:
    return alt.Axis(tickMinStep=1, gridColor=LINE, domainColor=ZERO)
