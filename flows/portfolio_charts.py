"""Charts of a portfolio: what a budget buys, and how sure each initiative's place is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite

import altair as alt
import pandas as pd

from flows.intervals import Axis, Estimates, Tone, interval_plot, styled
from flows.theme import GOOD, INK, MUTED, ZERO
from flows.wording import chance, money_short

__all__ = ["frontier_chart", "stability_chart"]


def frontier_chart(steps: pd.DataFrame, budget: float, currency: str) -> alt.LayerChart:
    """Worth of the best set for every budget: a stair, with the budget as a dashed line.

    Parameters
    ----------
    steps : DataFrame
        budget, worth and members, ascending.
    budget : float
        As given; infinite: no line.
    currency : str
        Code.
    """
    rows = pd.DataFrame({"budget": steps["budget"].astype(float), "worth": steps["worth"].astype(float)})
    rows["count"] = [len(members) for members in steps["members"]]
    rows["text"] = [money_short(one, currency) if one else "" for one in rows["worth"]]
    far = max([float(rows["budget"].max()) * 1.15, *([budget * 1.05] if isfinite(budget) else [])])
    far = far if far > 0 else 1.0
    stairs = pd.concat([rows, rows.tail(1).assign(budget=far)], ignore_index=True)
    scale = alt.Scale(domain=[0, far], nice=False)
    x = alt.X("budget:Q", scale=scale, title=f"Budget, {currency}", axis=alt.Axis(tickCount=6, labelExpr=_WRITTEN))
    y = alt.Y("worth:Q", title=f"Worth of the best set, {currency}", axis=alt.Axis(tickCount=5, labelExpr=_WRITTEN))
    base = alt.Chart(rows)
    layers = [
        alt.Chart(stairs).mark_line(interpolate="step-after", color=GOOD, strokeWidth=2.5).encode(x=x, y=y),
        base.mark_circle(color=INK, size=60, opacity=1).encode(x=x, y=y),
        base.mark_text(align="right", dx=-8, dy=-8, color=MUTED, fontSize=12).encode(x=x, y=y, text="text:N"),
    ]
    legend = "dot: from this budget on another set is best"
    if isfinite(budget):
        line = alt.Chart(pd.DataFrame({"budget": [budget]})).mark_rule(color=ZERO, strokeWidth=1.5, strokeDash=[4, 4])
        layers.append(line.encode(x=alt.X("budget:Q", scale=scale)))
        legend += f", dashed: the budget of {money_short(budget, currency)}"
    chart = alt.LayerChart(layer=layers).properties(width=620, height=260)
    return styled(chart, "What a budget buys", legend)


_WRITTEN = "datum.value == 0 ? '0' : format(datum.value, abs(datum.value) >= 1000 ? '~s' : ',.3~f')"


def stability_chart(stable: pd.DataFrame, titles: Mapping[str, str]) -> alt.LayerChart:
    """Share of the draws in which each initiative is in the best set, most often first; hollow: not funded.

    Parameters
    ----------
    stable : DataFrame
        initiative, by_draw with its interval, is_funded.
    titles : mapping of str to str
        Title by name.
    """
    rows = stable.sort_values(["by_draw", "initiative"], ascending=[False, True])
    drawn = rows.rename(columns={"by_draw_lo": "lo", "by_draw_hi": "hi"})
    names = [titles[name] for name in rows["initiative"]]
    found = Estimates.of(names, drawn, "by_draw", chance)
    words = ["funded" if funded else "not funded" for funded in rows["is_funded"]]
    notes = [f"{word} · {note}" for word, note in zip(words, found.notes, strict=True)]
    tones: list[Tone] = ["good" if funded else "hollow" for funded in rows["is_funded"]]
    axis = Axis("Share of the draws", ".0%", hollow="hollow dot: not in the chosen set")
    title = "How often each initiative belongs to the best set, if the truth were known"
    return interval_plot(replace(found, notes=notes, tones=tones), axis, title)
