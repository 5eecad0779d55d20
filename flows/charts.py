"""The charts of the report and of MLflow: result tables in, Altair charts out, nothing computed but the drawing.

Every chart takes the rows that it can draw; an empty table gives an empty plot, so ask before drawing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import altair as alt
import pandas as pd

from flows.intervals import Axis, Estimates, Tone, interval_plot, styled
from flows.months import MonthRow, months_plot
from flows.theme import INK, NEUTRAL, ZERO, to_png, to_svg
from flows.wording import alike, chance, label, money, money_short, percent, plain, points, whole

__all__ = [
    "BASELINES",
    "SHOWN",
    "churn_effects_chart",
    "effect_name",
    "initiative_churn_chart",
    "initiative_revenue_chart",
    "metric_chart",
    "missing_chart",
    "npv_chart",
    "reliability_chart",
    "revenue_effects_chart",
    "to_png",
    "to_svg",
    "volume_chart",
]

SHOWN = 15
"""Rows of the longest chart; the tables say what was left out."""

_UNBROKEN = 30
"""Characters of a change that stay on one line."""

BASELINES = frozenset({"prevalence", "recency-frequency", "mean", "last period"})
"""Candidates that a model has to beat."""

_VERDICT_TONES: dict[str, Tone] = {"worth it": "good", "not worth it": "bad", "harmful": "bad", "unsupported": "hollow"}

Outcome = Literal["churn", "revenue"]


def npv_chart(initiatives: pd.DataFrame, currency: str, months: int) -> alt.LayerChart:
    """Net present value of each simulated initiative with its 90 % interval, best first."""
    rows = initiatives[initiatives["npv"].notna()].sort_values("npv", ascending=False)
    verdicts = rows["verdict"].tolist()
    found = Estimates.of(rows["title"].tolist(), rows, "npv", partial(money_short, currency=currency))
    texts = [f"{text} · {verdict}" for text, verdict in zip(found.texts, verdicts, strict=True)]
    chances = rows["p_npv_positive"].tolist()
    notes = [f"{note} · {chance(p)} likely to pay" for note, p in zip(found.notes, chances, strict=True)]
    axis = Axis(currency, _money_ticks(found), "loses money", "earns money")
    tones = [_VERDICT_TONES.get(verdict, "neutral") for verdict in verdicts]
    title = f"Net present value over {months} months, by initiative"
    return interval_plot(replace(found, texts=texts, notes=notes, tones=tones), axis, title)


def initiative_churn_chart(initiatives: pd.DataFrame, horizon_days: int) -> alt.LayerChart:
    """Effect of each simulated initiative on churn, most customers kept first."""
    rows = initiatives[initiatives["churn_effect"].notna()].sort_values("churn_effect")
    return _churn_plot(rows["title"].tolist(), rows, f"Change of churn over {horizon_days} days, by initiative")


def initiative_revenue_chart(initiatives: pd.DataFrame, currency: str, horizon_days: int) -> alt.LayerChart:
    """Effect of each simulated initiative on revenue per customer, largest first."""
    rows = initiatives[initiatives["revenue_effect"].notna()].sort_values("revenue_effect", ascending=False)
    title = f"Change of revenue over {horizon_days} days, by initiative"
    return _revenue_plot(rows["title"].tolist(), rows, currency, title)


def churn_effects_chart(effects: pd.DataFrame, horizon_days: int) -> alt.LayerChart:
    """Estimated effects on churn with intervals; hollow: the raw contrast, what correlation would have said."""
    rows = effects[effects["churn_effect"].notna()].sort_values("churn_effect").head(SHOWN)
    names = [effect_name(row) for _, row in rows.iterrows()]
    title = f"Change of churn over {horizon_days} days, by improvement"
    return _churn_plot(names, rows, title, raw="raw_churn_effect")


def revenue_effects_chart(effects: pd.DataFrame, currency: str, horizon_days: int) -> alt.LayerChart:
    """Estimated effects on revenue with intervals; hollow: the raw contrast, what correlation would have said."""
    rows = effects[effects["revenue_effect"].notna()].sort_values("revenue_effect", ascending=False).head(SHOWN)
    names = [effect_name(row) for _, row in rows.iterrows()]
    title = f"Change of revenue over {horizon_days} days, by improvement"
    return _revenue_plot(names, rows, currency, title, raw="raw_revenue_effect")


def effect_name(row: pd.Series) -> str:
    """Name an effect by its place in the journey and what is changed: support · call: wait × 0.8."""
    change = str(row["change"]).replace("_", " ").replace(" x ", " × ")
    unbroken = change.replace(" ", "\u00a0") if len(change) <= _UNBROKEN else change
    return f"{label(row['journey'], row['touchpoint'])}: {unbroken}"


def metric_chart(metrics: pd.DataFrame, outcome: Outcome, metric: str, title: str) -> alt.LayerChart:
    """One metric for every candidate and baseline over all folds, smallest first."""
    rows = metrics[(metrics["outcome"] == outcome) & (metrics["metric"] == metric) & (metrics["fold"] == "all")]
    rows = rows[rows["value"].notna()].sort_values("value")
    found = Estimates.of(rows["candidate"].tolist(), rows, "value", _written(rows))
    tones: list[Tone] = ["hollow" if name in BASELINES else "neutral" for name in found.names]
    return interval_plot(replace(found, tones=tones), Axis("", hollow="hollow: baseline"), title)


def reliability_chart(reliability: pd.DataFrame) -> alt.FacetChart:
    """Observed against predicted churn in bins, one panel a candidate; on the diagonal predictions are right."""
    shares = ["predicted", "observed", "lo", "hi"]
    values = reliability.assign(**{column: 100 * reliability[column] for column in shares})
    top = 1.05 * float(values[shares].max().max())
    scale = alt.Scale(domain=[0, top], nice=False)
    base = alt.Chart(values)
    x = alt.X("predicted:Q", scale=scale, title="Predicted risk, %", axis=alt.Axis(tickCount=5))
    y = alt.Y("observed:Q", scale=scale, title="Observed churn, %", axis=alt.Axis(tickCount=5))
    once = base.transform_aggregate(n="count()", groupby=["candidate"])
    ends = {"x": alt.datum(0), "y": alt.datum(0), "x2": alt.datum(top), "y2": alt.datum(top)}
    layers = [
        once.mark_rule(color=ZERO, strokeDash=[4, 4]).encode(**ends),
        base.mark_rule(color=NEUTRAL, strokeWidth=4, opacity=0.35).encode(x=x, y=alt.Y("lo:Q"), y2="hi:Q"),
        base.mark_line(color=NEUTRAL, strokeWidth=1).encode(x=x, y=y),
        base.mark_circle(color=INK, size=45, opacity=1).encode(x=x, y=y),
    ]
    panel = alt.LayerChart(layer=layers).properties(width=250, height=250)
    panels = alt.Facet("candidate:N", title=None, header=alt.Header(labelAnchor="start"))
    legend = "dot: a tenth of the customers, line: 90 % interval, dashed: where predictions come true"
    return styled(panel.facet(panels, columns=3, spacing=36), "Predicted against observed churn", legend)


def missing_chart(missing: pd.DataFrame) -> alt.LayerChart:
    """Share of touchpoints without a value, by measure."""
    rows = missing.sort_values("missing_share", ascending=False).head(SHOWN).assign(lo=math.nan, hi=math.nan)
    names = [label(measure) for measure in rows["measure"]]
    found = Estimates.of(names, rows, "missing_share", partial(percent, digits=1))
    return interval_plot(found, Axis("", ".0%", bars=True), "Share of touchpoints without a value, by measure")


def volume_chart(volumes: pd.DataFrame) -> alt.VConcatChart:
    """Touchpoints per month, one row a journey, busiest first; each row has its own scale."""
    totals = volumes.groupby("journey", observed=True)["touchpoints"].sum().sort_values(ascending=False)
    parts = [volumes[volumes["journey"] == journey] for journey in totals.index]
    rows = [
        MonthRow(label(str(journey)), whole(float(total)), part["month"].tolist(), part["touchpoints"].tolist())
        for (journey, total), part in zip(totals.items(), parts, strict=True)
    ]
    return months_plot(rows, "Touchpoints per month by journey")


def _churn_plot(names: Sequence[str], rows: pd.DataFrame, title: str, raw: str | None = None) -> alt.LayerChart:
    """Intervals in percentage points; fewer leavers are the better side."""
    axis = Axis("Percentage points", "+.2~f", "fewer leave", "more leave")
    found = Estimates.of(names, rows, "churn_effect", lambda change: f"{points(change)} points")
    found = replace(found, notes=[note.replace(" points to", " to") for note in found.notes])
    found = found.toned("lower", rows["verdict"].tolist())
    return interval_plot(_with_raw(found, rows, raw).scaled(100), axis, title)


def _revenue_plot(
    names: Sequence[str], rows: pd.DataFrame, currency: str, title: str, raw: str | None = None
) -> alt.LayerChart:
    """Intervals in currency per customer; more is the better side."""
    found = Estimates.of(names, rows, "revenue_effect", partial(money, currency=currency))
    found = found.toned("higher", rows["verdict"].tolist())
    axis = Axis(f"{currency} per customer", "", "less revenue", "more revenue")
    return interval_plot(_with_raw(found, rows, raw), axis, title)


def _with_raw(found: Estimates, rows: pd.DataFrame, column: str | None) -> Estimates:
    """Add the hollow marks."""
    return found if column is None else replace(found, raw=rows[column].astype(float).tolist())


def _written(rows: pd.DataFrame) -> Callable[[float], str]:
    """Write all values of a chart with the decimals that the narrowest interval needs."""
    width = (rows["hi"] - rows["lo"]).min()
    return alike(math.nan, 0.0, float(width)) if width > 0 else plain


def _money_ticks(found: Estimates) -> str:
    """Thousands and millions as k and M, small amounts as they are."""
    everything = [abs(one) for part in (found.value, found.lo, found.hi) for one in part if math.isfinite(one)]
    largest = max(everything, default=0.0)
    return "~s" if largest >= 1_000 else ",.2~f"
