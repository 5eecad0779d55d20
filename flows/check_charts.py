"""The charts of the data check: what is missing, and how large values are, month by month."""

from __future__ import annotations

import altair as alt
import pandas as pd

from features.study import Study
from flows.months import MonthRow, months_plot
from flows.wording import label, percent

__all__ = ["DRAWN", "median_chart", "missing_by_period", "missing_by_period_chart"]

DRAWN = 30
"""Rows of the longest chart."""


def missing_by_period(periods: pd.DataFrame) -> pd.DataFrame:
    """Add up the journeys of each measure: measure, period, rows, n, missing_share; measures in their order."""
    summed = periods.groupby(["measure", "period"], sort=False, observed=True)[["rows", "n"]].sum().reset_index()
    return summed.assign(missing_share=1 - summed["n"] / summed["rows"])


def missing_by_period_chart(periods: pd.DataFrame, word: str) -> alt.VConcatChart:
    """Share of rows without a value in each month or wave, one row a measure that is ever missing, worst first."""
    found = missing_by_period(periods)
    totals = found.groupby("measure", sort=False)[["rows", "n"]].sum()
    shares = (1 - totals["n"] / totals["rows"]).sort_values(ascending=False, kind="stable")
    rows = [
        _row(label(str(measure)), f"{percent(share, 1)} in all", found[found["measure"] == measure], "missing_share")
        for measure, share in shares[shares > 0].head(DRAWN).items()
    ]
    title = f"Share of rows without a value, by measure and {word}"
    return months_plot(rows, title, "every axis runs from 0 to 100 %", ticks=".0%", top=1.0)


def median_chart(periods: pd.DataFrame, study: Study, word: str) -> alt.VConcatChart:
    """Median in each month or wave, one row a measure and journey, in the order of the study; shares have none."""
    units = {measure.name: measure.unit for measure in study.measures if measure.kind != "share"}
    parts = periods[periods["measure"].isin(list(units))].groupby(["measure", "journey"], sort=False, observed=True)
    rows = [
        _row(label(str(journey), str(measure)), units[str(measure)], part, "median")
        for (measure, journey), part in list(parts)[:DRAWN]
    ]
    subtitle = "every row has its own scale, from zero"
    return months_plot(rows, f"Median by measure and {word}", subtitle, mark="line", ticks="~g")


def _row(name: str, note: str, part: pd.DataFrame, column: str) -> MonthRow:
    return MonthRow(name, note, part["period"].tolist(), part[column].tolist())
