"""Charts of tested model versions: a metric by cutoff and by segment, and a challenger beside the champion."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import altair as alt
import numpy as np
import pandas as pd

from flows.intervals import Axis, Estimates, interval_plot
from flows.wording import alike, label, plain, signed, whole

__all__ = ["WORDS", "by_cutoff_chart", "by_segment_chart", "versions_chart"]

WORDS: Final = {
    "log_loss": "Log loss (lower is better)",
    "brier": "Brier score (lower is better)",
    "auc": "AUC (higher is better)",
    "calibration_slope": "Calibration slope",
    "calibration_intercept": "Calibration intercept",
    "mean_calibration": "Predicted over observed",
    "lift_10": "Lift of the riskiest tenth",
    "mae": "Mean absolute error",
    "r2": "R²",
}
"""Metrics as charts call them."""

_RIGHT: Final = {
    "calibration_slope": (1.0, "1: neither too extreme nor too timid"),
    "calibration_intercept": (0.0, "0: right on average"),
    "mean_calibration": (1.0, "1: as many as predicted"),
    "lift_10": (1.0, "1: no better than at random"),
    "auc": (0.5, "0.5: no better than at random"),
}
"""Values that mean something."""

_MOST: Final = 20
"""Segments of the longest chart."""


def by_cutoff_chart(metrics: pd.DataFrame, metric: str) -> alt.LayerChart:
    """Draw a metric of one version at each cutoff that tested it, oldest first, above them all together.

    Parameters
    ----------
    metrics : DataFrame
        From :meth:`flows.validation.PastTests.metrics`.
    metric : str
        Which.
    """
    rows = metrics[(metrics["metric"] == metric) & metrics["value"].notna()].sort_values("fold", kind="stable")
    rows = pd.concat([rows[rows["fold"] == "all"], rows[rows["fold"] != "all"]])
    names = ["all cutoffs" if fold == "all" else str(fold) for fold in rows["fold"]]
    return _plot(names, rows, metric, f"{WORDS[metric]}, by cutoff")


def by_segment_chart(segments: pd.DataFrame, metric: str, covariate: str = "") -> alt.LayerChart:
    """Draw a metric of one version in each segment, furthest from the whole first, below the whole.

    Parameters
    ----------
    segments : DataFrame
        From :meth:`flows.validation.PastTests.segments`.
    metric : str
        Which.
    covariate : str
        Only the segments of this one; empty: of all, the 20 furthest ones.
    """
    rows = segments[(segments["metric"] == metric) & segments["value"].notna()]
    whole_, parts = rows[rows["segment"] == "all"], rows[rows["segment"] != "all"]
    if covariate:
        parts = parts[parts["segment"].str.startswith(f"{covariate} = ")]
    far = np.abs(parts["value"] - float(whole_["value"].iloc[0])) if len(whole_) else parts["value"]
    parts = parts.assign(far=far).sort_values(["far", "segment"], ascending=[False, True])
    shown = pd.concat([whole_, parts.head(_MOST)])
    names = ["everybody" if name == "all" else label(name) for name in shown["segment"]]
    more = f": the {_MOST} of {len(parts)} furthest from it" if len(parts) > _MOST else ""
    return _plot(names, shown, metric, f"{WORDS[metric]}, by segment{more}")


def versions_chart(differences: pd.DataFrame) -> alt.LayerChart:
    """Draw how much lower or higher the loss of a challenger is, over all and at each cutoff.

    Parameters
    ----------
    differences : DataFrame
        From :func:`flows.validation.beside`, not empty.
    """
    metric = label(str(differences["metric"].iloc[0]))
    names = ["all cutoffs" if fold == "all" else str(fold) for fold in differences["fold"]]
    found = Estimates.of(names, differences, "difference", signed).toned("lower")
    notes = [f"{note}; n {whole(n)}" for note, n in zip(found.notes, differences["n"], strict=True)]
    axis = Axis(f"{metric}, challenger less champion", "+.2~g", "challenger better", "champion better")
    return interval_plot(replace(found, notes=notes), axis, f"Challenger beside champion on the same rows: {metric}")


def _plot(names: list[str], rows: pd.DataFrame, metric: str, title: str) -> alt.LayerChart:
    """Draw estimates with intervals and n; what the metric should be is dashed."""
    width = (rows["hi"] - rows["lo"]).min()
    write = alike(np.nan, 0.0, float(width)) if width > 0 else plain
    found = Estimates.of(names, rows, "value", write)
    notes = [f"{note}; n {whole(n)}" for note, n in zip(found.notes, rows["n"], strict=True)]
    mark, marked = _RIGHT.get(metric, (np.nan, ""))
    axis = Axis("", ".2~f", mark=mark, marked=marked)
    return interval_plot(replace(found, notes=notes), axis, title)
