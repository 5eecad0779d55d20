"""What the last simulation said of an initiative: read off its result, or counted anew from its draws."""

from __future__ import annotations

from typing import Any

from flows.planner import Bench, Setting
from flows.planner_sets import Range

__all__ = ["is_out", "told_of"]


def is_out(bench: Bench, name: str) -> bool:
    """Whether the change hardly lies within what was observed."""
    return bool(told_of(bench, name, "verdict") == "unsupported")


def told_of(bench: Bench, name: str, column: str) -> Any:
    """Read a column of simulate.json; where it is of another simulation, count it anew."""
    if name in bench.rows:
        return bench.rows[name].get(column)
    one = bench.worth(name, Setting.of(bench.initiatives[name]))
    npv = Range.of(one.npv)
    return {
        "verdict": one.verdict, "reason": one.reason, "npv_lo": npv.lo, "npv_hi": npv.hi,
        "p_npv_positive": one.p_npv_positive, "churn_effect": one.churn.value, "churn_lo": one.churn.lo,
        "churn_hi": one.churn.hi,
    }[column]  # fmt: skip
