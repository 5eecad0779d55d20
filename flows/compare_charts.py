"""Charts of plans held against the first of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import altair as alt
import pandas as pd

from flows.intervals import Axis, Estimates, Tone, interval_plot
from flows.wording import chance, money_short, points
from models.outlooks import OUTCOMES, Outcome

__all__ = ["difference_chart", "outcome_title", "writer"]

_TITLES: Final[dict[Outcome, str]] = {
    "npv": "Net present value", "churn": "Customers who leave", "revenue": "Revenue", "cost": "Cost",
}  # fmt: skip
_SIDES: Final[dict[Outcome, tuple[str, str]]] = {
    "npv": ("worth less", "worth more"), "churn": ("fewer leave", "more leave"),
    "revenue": ("less revenue", "more revenue"), "cost": ("costs less", "costs more"),
}  # fmt: skip
_TONES: Final[dict[str, Tone]] = {"better": "good", "worse": "bad"}


def outcome_title(outcome: str) -> str:
    """Name an outcome for people."""
    return _TITLES[_known(outcome)]


def writer(outcome: str, currency: str) -> Callable[[float], str]:
    """Give what writes a value of an outcome with its unit."""
    if outcome == "churn":
        return lambda share: f"{points(share)} points"
    return partial(money_short, currency=currency)


def difference_chart(found: pd.DataFrame, labels: Sequence[str], outcome: str, currency: str) -> alt.LayerChart:
    """Difference of every plan to the first in one outcome, with 90 % intervals, the largest value first.

    Parameters
    ----------
    found : DataFrame
        From `models.differences.Differences.to_frame`.
    labels : sequence of str
        Of all plans, the first one's first.
    outcome : str
        ``npv``, ``churn``, ``revenue`` or ``cost``.
    currency : str
        Code.
    """
    name, write = _known(outcome), writer(outcome, currency)
    rows = found[found["outcome"] == name].sort_values(["value", "plan"], ascending=[False, True], kind="stable")
    drawn = Estimates.of([labels[plan] for plan in rows["plan"]], rows, "value", write)
    notes = [_note(row, note) for (_, row), note in zip(rows.iterrows(), drawn.notes, strict=True)]
    tones = [_TONES.get(verdict, "neutral") for verdict in rows["verdict"]]
    shown = replace(drawn, notes=notes, tones=tones)
    if name == "churn":
        axis = Axis("Percentage points of today's customers", "+.2~f", *_SIDES[name], dot="difference")
        return interval_plot(shown.scaled(100), axis, _heading(name, labels[0]))
    largest = float(rows[["value", "lo", "hi"]].abs().max().max()) if len(rows) else 0.0
    axis = Axis(currency, "~s" if largest >= 1_000 else ",.3~f", *_SIDES[name], dot="difference")
    return interval_plot(shown, axis, _heading(name, labels[0]))


def _note(row: pd.Series, interval: str) -> str:
    """Say the interval, and which side is how likely."""
    if row["verdict"] == "the same":
        return "the same in every draw"
    side, p = ("better", row["p_better"]) if row["p_better"] >= 0.5 else ("worse", 1 - row["p_better"])
    told = f"{side} with a chance of {chance(p)}"
    return told if row["lo"] == row["hi"] else f"{interval.replace(' points to', ' to')} · {told}"


def _heading(outcome: Outcome, first: str) -> str:
    return f"{_TITLES[outcome]}: difference to “{first}”"


def _known(outcome: str) -> Outcome:
    return next(one for one in OUTCOMES if one == outcome)
