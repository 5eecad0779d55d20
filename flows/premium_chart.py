"""The chart of the journey premium: what journeys gain over every model that looks at touchpoints one by one."""

from __future__ import annotations

from dataclasses import replace

import altair as alt
import pandas as pd

from flows.charts import SHOWN
from flows.intervals import Axis, Estimates, interval_plot
from flows.wording import points

__all__ = ["premium_chart"]


def premium_chart(rivals: pd.DataFrame, matters: float) -> alt.LayerChart:
    """Draw the gain over each touchpoint-only model with its interval, the best of them first.

    Parameters
    ----------
    rivals : DataFrame
        model, gain, lo, hi, in McFadden's R2; as :meth:`models.premium.Premium.rivals_frame` gives it.
    matters : float
        Smallest gain that matters, drawn as a dashed line.

    Returns
    -------
    LayerChart
        In percentage points. Blue lies above zero as a whole, red below it.
    """
    rows = rivals.head(SHOWN)
    names = [f"{name}{', the best' if place == 0 else ''}" for place, name in enumerate(rows["model"])]
    found = Estimates.of(names, rows, "gain", lambda change: f"{points(change)} points").toned("higher")
    found = replace(found, notes=[note.replace(" points to", " to") for note in found.notes])
    axis = Axis(
        "Percentage points of the uncertainty about who leaves (McFadden's R²)",
        "+.2~f",
        "touchpoints predict better",
        "journeys predict better",
        mark=100 * matters,
        marked=f"a gain that matters ({100 * matters:g} points)",
    )
    return interval_plot(found.scaled(100), axis, "What journeys gain over each model of single touchpoints")
