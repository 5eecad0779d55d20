"""The charts of the monitor: verdicts batch by batch, and what came true beside what was promised."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import altair as alt
import pandas as pd

from flows.intervals import Axis, Estimates, Tone, interval_plot, styled
from flows.theme import BAD, LINE, MUTED, NEUTRAL, PAPER
from flows.wording import alike

__all__ = ["METRICS", "promise_chart", "verdict_strip"]

METRICS: Final = {
    "auc": "AUC (higher is better)",
    "lift": "Lift among those who can be contacted (higher is better)",
    "calibration_intercept": "Calibration intercept (0: right on average)",
    "calibration_slope": "Calibration slope (1: neither too extreme nor too timid)",
    "brier": "Brier score (lower is better)",
}
"""Metrics as charts and tables call them."""

_MOST: Final = 24
_ROWS: Final = ("on scoring", "when outcomes came")
_FILLS: Final = {"ok": LINE, "watch": NEUTRAL, "act": BAD, "none": PAPER}
_INKS: Final = {"ok": MUTED, "watch": PAPER, "act": PAPER, "none": MUTED}
_WAITING: Final = "–"


def verdict_strip(batches: Sequence[Mapping[str, Any]]) -> alt.LayerChart:
    """Draw the verdicts of the latest batches, oldest first: one on scoring, one when outcomes had come.

    Parameters
    ----------
    batches : sequence of mapping
        ``batches`` of ``monitor.json``.
    """
    shown = batches[-_MOST:]
    rows = [
        (one["cutoff"], row, one[name] or "none")
        for one in shown
        for row, name in zip(_ROWS, ("verdict", "outcome_verdict"), strict=True)
    ]
    frame = pd.DataFrame(rows, columns=["cutoff", "row", "verdict"])
    frame = frame.assign(text=frame["verdict"].replace("none", _WAITING))
    base = alt.Chart(frame).encode(
        x=alt.X("cutoff:O", title=None, axis=alt.Axis(labelAngle=-45, grid=False), scale=alt.Scale(padding=0.08)),
        y=alt.Y("row:N", title=None, sort=list(_ROWS), axis=alt.Axis(grid=False), scale=alt.Scale(padding=0.12)),
    )
    layers = [
        base.mark_rect(cornerRadius=3).encode(fill=_scale(_FILLS)),
        base.mark_text(fontSize=11).encode(text="text:N", color=_scale(_INKS)),
    ]
    chart = alt.LayerChart(layer=layers).properties(width=max(46 * len(shown), 92), height=72)
    legend = "ok: as expected, watch: differs, act: something has to be done, –: not known (yet)"
    return styled(chart, "Verdicts by cutoff", legend)


def promise_chart(outcomes: Sequence[Mapping[str, Any]], metric: str) -> alt.LayerChart:
    """Draw what came true at each cutoff with its interval, and the promise as a hollow mark; oldest first.

    Parameters
    ----------
    outcomes : sequence of mapping
        ``outcomes`` of ``monitor.json``.
    metric : str
        One of `METRICS`.
    """
    found = [(one["cutoff"], row) for one in outcomes[-_MOST:] for row in one["metrics"] if row["metric"] == metric]
    rows = pd.DataFrame([row for _, row in found]).reindex(columns=["value", "lo", "hi", "promised", "kept"])
    numbers = rows[["value", "lo", "hi", "promised"]].astype(float)
    width = (numbers["hi"] - numbers["lo"]).min()
    write = alike(math.nan, 0.0, float(width) if width > 0 else 1.0)
    tones: list[Tone] = ["bad" if kept == "no" else "neutral" for kept in rows["kept"]]
    estimates = Estimates.of([cutoff for cutoff, _ in found], numbers, "value", write)
    estimates = Estimates(
        estimates.names,
        estimates.value,
        estimates.lo,
        estimates.hi,
        [f"{text} · {kept}" for text, kept in zip(estimates.texts, _kept(rows["kept"]), strict=True)],
        estimates.notes,
        tones,
        numbers["promised"].tolist(),
    )
    axis = Axis("", dot="came true", raw="promised in training")
    return interval_plot(estimates, axis, f"{METRICS[metric]}, by cutoff")


def _kept(values: pd.Series) -> list[str]:
    words = {"yes": "as promised", "doubtful": "doubtful", "no": "worse than promised"}
    return [words.get(str(value), "no promise") for value in values]


def _scale(colours: Mapping[str, str]) -> alt.Color:
    return alt.Color("verdict:N", legend=None, scale=alt.Scale(domain=list(colours), range=list(colours.values())))
