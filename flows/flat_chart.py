"""The chart of effects over one wave: what each initiative does to an outcome, beside what correlation promised."""

from collections.abc import Callable
from dataclasses import replace

import altair as alt
import pandas as pd

from flows.intervals import Axis, Estimates, interval_plot

__all__ = ["wave_chart"]

SHOWN = 15
"""Initiatives of the longest chart; the table has them all."""


def wave_chart(effects: pd.DataFrame, outcome: str, write: Callable[[float], str], unit: str = "") -> alt.LayerChart:
    """Draw the effect of each initiative on one outcome with its 90 % interval; hollow: the raw contrast.

    Parameters
    ----------
    effects : DataFrame
        `title`, `outcome`, `effect`, `lo`, `hi`, `raw_effect`, `n_customers`, as `journeylift simulate` leaves them.
    outcome : str
        Which one; `churn` is drawn in percentage points.
    write : callable
        Writes one number.
    unit : str
        Of the outcome, for the axis; churn needs none.

    Returns
    -------
    altair.LayerChart
        The strongest first: of churn the lowest, of others the highest. Refused ones are not drawn.
    """
    is_churn = outcome == "churn"
    rows = effects[(effects["outcome"] == outcome) & effects["effect"].notna()]
    rows = rows.sort_values("effect", ascending=is_churn, kind="stable").head(SHOWN)
    found = Estimates.of(rows["title"].tolist(), rows, "effect", write)
    found = replace(found, raw=rows["raw_effect"].astype(float).tolist())
    if is_churn:
        axis = Axis("Percentage points", "+.2~f", "fewer leave", "more leave")
        return interval_plot(found.toned("lower").scaled(100), axis, _title("churn", rows))
    name = outcome.replace("_", " ")
    axis = Axis(f"{name.capitalize()} per customer{f', {unit}' if unit else ''}", "+.2~f", "less", "more")
    # Which way is better is known of revenue only.
    return interval_plot(found.toned("higher") if outcome == "revenue" else found, axis, _title(name, rows))


def _title(name: str, rows: pd.DataFrame) -> str:
    return f"Change of {name} over one wave, by initiative, {int(rows['n_customers'].max()):,} customers"
