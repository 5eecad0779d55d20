"""Charts of what initiatives are worth: by month, and what drives the interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import altair as alt
import pandas as pd

from flows.intervals import Axis, Estimates, interval_plot, styled
from flows.theme import GOOD, INK, ZERO
from flows.wording import money_short, percent, plain, points, span, wrapped

__all__ = ["MOST_PANELS", "path_chart", "tornado_chart"]

MOST_PANELS = 9
"""Initiatives in the chart by month, those that are worth most."""

_PARTS = {
    "once": "cost once", "monthly": "cost a month", "per_customer": "cost per customer",
    "per_contact": "cost per contact", "saved_monthly": "savings a month",
}  # fmt: skip


def path_chart(paths: pd.DataFrame, titles: Sequence[tuple[str, str]], currency: str) -> alt.FacetChart:
    """Revenue a month with each initiative less revenue without: mean and 90 % band, one panel an initiative.

    Parameters
    ----------
    paths : DataFrame
        From :meth:`models.simulation.Comparison.paths`.
    titles : sequence of (str, str)
        Name and title of the initiatives to show, in order.
    currency : str
        Code.
    """
    shown = dict(list(titles)[:MOST_PANELS])
    rows = paths[paths["name"].isin(shown)]
    values = pd.DataFrame(
        {
            "panel": ["\n".join(wrapped(shown[name], 32).split("\n")) for name in rows["name"]],
            "month": rows["month"].to_numpy(),
            "mean": (rows["revenue"] - rows["revenue_without"]).to_numpy(),
            "lo": (rows["revenue_lo"] - rows["revenue_without"]).to_numpy(),
            "hi": (rows["revenue_hi"] - rows["revenue_without"]).to_numpy(),
        }
    )
    largest = float(values[["mean", "lo", "hi"]].abs().max().max()) if len(values) else 0.0
    base = alt.Chart(values)
    x = alt.X("month:Q", title="Months from the decision", axis=alt.Axis(tickMinStep=1, tickCount=5, grid=False))
    written = f"datum.value == 0 ? '0' : format(datum.value, '{'~s' if largest >= 1_000 else ',.3~f'}')"
    ticks = alt.Axis(tickCount=4, labelExpr=written)
    y = alt.Y("mean:Q", title=f"{currency} a month", axis=ticks)
    zero = alt.Chart(values).mark_rule(color=ZERO, strokeWidth=1.5).encode(y=alt.datum(0))
    layers = [
        zero,
        base.mark_area(color=GOOD, opacity=0.25).encode(x=x, y=alt.Y("lo:Q"), y2="hi:Q"),
        base.mark_line(color=INK, strokeWidth=2).encode(x=x, y=y),
    ]
    panel = alt.LayerChart(layer=layers).properties(width=230, height=130)
    order = ["\n".join(wrapped(title, 32).split("\n")) for title in shown.values()]
    header = alt.Header(labelAnchor="start", labelExpr="split(datum.value, '\\n')", labelLineHeight=15)
    panels = alt.Facet("panel:N", title=None, sort=order, header=header)
    legend = "line: mean, band: 90 % interval; on the grey line nothing changes"
    return styled(
        panel.facet(panels, columns=3, spacing=28), "Revenue a month: with the initiative less without", legend
    )


def tornado_chart(tornado: pd.DataFrame, title: str, currency: str) -> alt.LayerChart:
    """Net present value with one input at a time at its 5 % and 95 % quantile, longest bar first.

    Parameters
    ----------
    tornado : DataFrame
        Rows of one initiative, from :meth:`models.simulation.Comparison.tornado`.
    title : str
        Of the initiative.
    currency : str
        Code.
    """
    rows = tornado.sort_values(["swing", "input"], ascending=[False, True])
    write = partial(money_short, currency=currency)
    ends = rows[["npv_at_low", "npv_at_high"]].astype(float)
    drawn = pd.DataFrame({"npv": rows["npv_at_mean"], "npv_lo": ends.min(axis=1), "npv_hi": ends.max(axis=1)})
    names = [_input(row, currency) for _, row in rows.iterrows()]
    found = Estimates.of(names, drawn, "npv", write)
    texts = [f"± {write(float(one) / 2)}" for one in rows["swing"]]
    largest = float(ends.abs().max().max()) if len(ends) else 0.0
    axis = Axis(currency, "~s" if largest >= 1_000 else ",.3~f", "loses money", "earns money")
    chart = interval_plot(replace(found, texts=texts), axis, "")
    legend = "dot: every input at its mean, line: this one from its 5 % to its 95 % quantile"
    return chart.properties(title=alt.TitleParams(text=f"What drives the value of “{title}”", subtitle=legend))


def _input(row: pd.Series, currency: str) -> str:
    """Name an input with its range: delivery, 65 % to 94 %."""
    name, low, high = str(row["input"]), float(row["low"]), float(row["high"])
    if name == "churn effect":
        return f"effect on churn, {span(low, high, points)} points"
    if name == "spend effect":
        return f"effect on spending, {span(low, high, plain)} {currency} per customer"
    if row["unit"] == "share":
        return f"{name}, {span(low, high, percent)}"
    part = _PARTS[name.removeprefix("cost: ")]
    return f"{part}, {span(low, high, partial(money_short, currency=currency))}"
