"""Charts of journeys as they are: which paths they take, where they break, what follows, how long customers wait."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Final

import altair as alt
import numpy as np
import pandas as pd

from flows.intervals import LEFT, RIGHT, ROW, WIDTH, Axis, Estimates, interval_plot, styled
from flows.theme import BAD, GOOD, INK, LINE, MUTED, ZERO
from flows.wording import label, percent, plain, span, whole
from models.estimates import wilson_of

__all__ = ["breaks_chart", "follow_ups_chart", "paths_chart", "waits_chart"]

_MOST: Final = 10
"""Paths of the longest chart."""


def paths_chart(paths: pd.DataFrame, journey: str) -> alt.LayerChart:
    """Draw the most frequent paths of a journey type, as shares of its journeys.

    Parameters
    ----------
    paths : DataFrame
        Of :class:`features.exploration.Exploration`.
    journey : str
        Which journey type.
    """
    own = paths[paths["journey"] == journey]
    total = int(own["journeys"].sum())
    rows = _with_share(own.head(_MOST).assign(of=total), "journeys", "of")
    found = Estimates.of(rows["path"].tolist(), rows, "share", partial(percent, digits=1))
    counts = zip(rows["journeys"], rows["told"], rows["troubled"], rows["days"], strict=True)
    notes = [_path_note(*one) for one in counts]
    covered = f"{len(rows)} of {len(own)} make {percent(rows['share'].sum())} of {whole(total)}"
    title = f"Paths of {label(journey)}: {covered}"
    axis = Axis("Share of the journeys of this type", ".0%", bars=True, dot="share of journeys")
    return interval_plot(replace(found, notes=notes), axis, title)


def breaks_chart(troubles: pd.DataFrame) -> alt.LayerChart:
    """Draw at which touchpoints something goes wrong, most often first, with how many journeys are mended afterwards.

    Parameters
    ----------
    troubles : DataFrame
        Of :class:`features.exploration.Exploration`, not empty.
    """
    rows = _with_share(troubles, "troubled", "told").sort_values(
        ["share", "journey", "touchpoint"], ascending=[False, True, True]
    )
    names = [label(*place) for place in zip(rows["journey"], rows["touchpoint"], strict=True)]
    found = Estimates.of(names, rows, "share", partial(percent, digits=1))
    mended = rows["mended"] / rows["began"].where(rows["began"] > 0)
    notes = [
        f"of {whole(told)}; {percent(share)} mended in the journey"
        for told, share in zip(rows["told"], mended, strict=True)
    ]
    axis = Axis("Share of the touchpoints at which something can go wrong", ".0%", bars=True, dot="share gone wrong")
    return interval_plot(replace(found, notes=notes), axis, "Where journeys break")


def follow_ups_chart(follow_ups: pd.DataFrame, days: float) -> alt.LayerChart:
    """Draw how often a journey follows soon, when something went wrong (vermilion) and when nothing did (blue).

    Parameters
    ----------
    follow_ups : DataFrame
        Of :class:`features.exploration.Exploration`; pairs that never follow are left out.
    days : float
        What "soon" is.
    """
    rows = _with_share(follow_ups, "followed", "n")
    sides = {name: rows[rows["is_trouble"].astype(bool) == side] for name, side in (("wrong", True), ("fine", False))}
    keys = ["journey", "then"]
    pairs = sides["wrong"].merge(sides["fine"], on=keys, suffixes=("_wrong", "_fine"))
    pairs = pairs[pairs[["share_wrong", "share_fine"]].max(axis=1) > 0]
    pairs = pairs.assign(gap=pairs["share_wrong"] - pairs["share_fine"]).sort_values(
        ["gap", *keys], ascending=[False, True, True], ignore_index=True
    )
    shares = zip(pairs["share_wrong"], pairs["share_fine"], strict=True)
    counts = zip(pairs["n_wrong"], pairs["n_fine"], strict=True)
    once = pairs.assign(
        rank=range(len(pairs)),
        name=[_pair_name(*pair) for pair in zip(pairs["journey"], pairs["then"], strict=True)],
        text=[f"{percent(wrong, 1)} against {percent(fine, 1)}" for wrong, fine in shares],
        note=[f"n {whole(wrong)} and {whole(fine)}" for wrong, fine in counts],
    )
    rows = rows.merge(once[[*keys, "rank"]], on=keys)
    title = f"What follows within {days:g} days, by whether something went wrong: association"
    legend = "vermilion: after something went wrong, blue: after nothing did; band: 90 % interval"
    return styled(_dumbbells(rows, once), title, legend)


def waits_chart(waits: pd.DataFrame, unit: str) -> alt.LayerChart:
    """Draw how long customers wait, by place, longest first.

    Parameters
    ----------
    waits : DataFrame
        Of :class:`features.exploration.Exploration`.
    unit : str
        Which of its units.
    """
    rows = waits[waits["unit"] == unit].sort_values("median", ascending=False, kind="stable")
    names = [
        f"{label(journey, place)}: {label(measure)}"
        for journey, place, measure in zip(rows["journey"], rows["place"], rows["measure"], strict=True)
    ]
    found = Estimates.of(names, rows.rename(columns={"median": "middle", "low": "lo", "high": "hi"}), "middle", plain)
    texts = [
        f"{plain(one)} {unit} ({span(lo, hi, plain)})"
        for one, lo, hi in zip(rows["median"], rows["median_lo"], rows["median_hi"], strict=True)
    ]
    notes = [f"half: {note}; n {whole(n)}" for note, n in zip(found.notes, rows["n"], strict=True)]
    axis = Axis(
        unit, "~g", mark=0.0, line="from a quarter to three quarters of them", dot="median, 90 % interval beside"
    )
    return interval_plot(replace(found, texts=texts, notes=notes), axis, f"How long it takes, in {unit}")


def _with_share(rows: pd.DataFrame, count: str, of: str) -> pd.DataFrame:
    """Add a share of counts with its interval (lo, hi)."""
    share = rows[count] / rows[of]
    lo, hi = wilson_of(share, rows["n_effective"])
    return rows.assign(share=share, lo=lo, hi=hi)


def _path_note(journeys: int, told: int, troubled: int, days: float) -> str:
    parts = [whole(journeys)]
    parts += [f"{days:.1f} days"] if days > 0 else []
    parts += [f"{percent(troubled / told)} went wrong"] if told else []
    return " · ".join(parts)


def _pair_name(journey: str, then: str) -> str:
    return f"{label(journey)}, then again" if journey == then else f"{label(journey)}, then {label(then)}"


def _dumbbells(rows: pd.DataFrame, once: pd.DataFrame) -> alt.LayerChart:
    """Two dots a row, each with its band, names on the left and numbers on the right."""
    top = 1.05 * float(np.nanmax([*rows["hi"], 0.01]))
    scale = alt.Scale(domain=[0, top], nice=False)
    y = alt.Y("rank:O", axis=None, scale=alt.Scale(padding=0))
    shade = alt.condition("datum.is_trouble", alt.value(BAD), alt.value(GOOD))
    axis = alt.Axis(format=".0%", tickCount=6, title="Share of touchpoints that are followed")
    both: Any = alt.Chart(rows).encode(y=y)
    single: Any = alt.Chart(once).encode(y=y)
    ends = {"x": alt.value(-LEFT), "x2": alt.value(WIDTH + RIGHT)}
    right = alt.value(WIDTH + 16)
    layers = [
        single.mark_rule(color=LINE).encode(**ends, y=alt.Y("rank:O", axis=None, bandPosition=1)),
        alt.Chart(once.head(1)).mark_rule(color=ZERO, strokeWidth=1.5).encode(x=alt.datum(0)),
        single.mark_rule(color=LINE, strokeWidth=3).encode(x=alt.X("share_fine:Q", scale=scale), x2="share_wrong:Q"),
        both.mark_rule(strokeWidth=6, opacity=0.4, strokeCap="round").encode(
            x=alt.X("lo:Q", scale=scale), x2="hi:Q", color=shade
        ),
        both.mark_circle(size=80, opacity=1).encode(x=alt.X("share:Q", scale=scale, axis=axis), color=shade),
        single.mark_text(align="left", fontSize=13, color=INK).encode(x=alt.value(-LEFT), text="name:N"),
        single.mark_text(align="left", fontSize=13, fontWeight="bold", color=INK, dy=-7).encode(x=right, text="text:N"),
        single.mark_text(align="left", fontSize=12, color=MUTED, dy=8).encode(x=right, text="note:N"),
    ]
    chart: alt.LayerChart = alt.LayerChart(layer=layers).properties(width=WIDTH, height=alt.Step(ROW))
    return chart
