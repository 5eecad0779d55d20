"""Charts of rated touchpoints: where to look first, and whether to repair or to polish."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from flows.intervals import LEFT, ROW, WIDTH, styled
from flows.theme import BAD, GOOD, INK, LINE, NEUTRAL, PAPER, ZERO
from flows.wording import label, short_name

__all__ = ["penalty_reward_chart", "quadrant_chart"]

_ACROSS, _HIGH = 620, 460
_LETTER, _LINE = 6.0, 15.0
"""Pixels of a letter and of a line of names."""


def quadrant_chart(ratings: pd.DataFrame, outcome: str) -> alt.LayerChart:
    """Draw importance against performance: how good a touchpoint is rated, what a point better goes along with.

    Parameters
    ----------
    ratings : DataFrame
        Drivers of one outcome, from :func:`flows.driver_table.driver_table`; those without a performance are left out.
    outcome : str
        What it is called.
    """
    rows = ratings[ratings["performance"].notna() & ratings["population_point"].notna()]
    values = _oriented(rows, ("population_point",)).assign(name=_names(rows), used=100 * rows["reach"].astype(float))
    middle_x = float(np.average(values["performance"], weights=values["n"])) if len(values) else 0.0
    middle_y = float(values["population_point"].mean()) if len(values) else 0.0
    crosses = _straddles(values, "performance", middle_x) | _straddles(values, "population_point", middle_y)
    x_scale, y_scale = (alt.Scale(domain=_domain(values, name), nice=False, zero=False) for name in _AXES)
    values = values.assign(is_clear=~crosses, label=_labels(values))
    x = alt.X("performance:Q", title="Performance, 0 worst to 100 best answer", scale=x_scale)
    y = alt.Y("population_point:Q", title=_gain_title(rows, outcome), scale=y_scale)
    base: Any = alt.Chart(values)
    size = alt.Size("used:Q", title="Used by, %", scale=alt.Scale(domain=[0, 100], range=[10, 260]), legend=None)
    name: dict[str, Any] = {"align": "left", "dx": 9, "dy": -7, "fontSize": 11}
    fill = alt.condition("datum.is_clear", alt.value(INK), alt.value(PAPER))
    layers = [
        base.mark_rule(color=ZERO, strokeDash=[4, 4]).encode(x=alt.XDatum(middle_x, scale=x_scale)),
        base.mark_rule(color=ZERO, strokeDash=[4, 4]).encode(y=alt.YDatum(middle_y, scale=y_scale)),
        base.mark_rule(color=NEUTRAL, opacity=0.6).encode(
            x=alt.X("performance_lo:Q", scale=x_scale), x2="performance_hi:Q", y=y
        ),
        base.mark_rule(color=NEUTRAL, opacity=0.6).encode(
            x=x, y=alt.Y("population_point_lo:Q", scale=y_scale), y2="population_point_hi:Q"
        ),
        base.mark_circle(opacity=1, stroke=INK, strokeWidth=1.2).encode(x=x, y=y, size=size, fill=fill),
        base.mark_text(**name, stroke=PAPER, strokeWidth=3).encode(x=x, y=y, text="label:N"),
        base.mark_text(**name, color=INK).encode(x=x, y=y, text="label:N"),
    ]
    chart: alt.LayerChart = alt.LayerChart(layer=layers).properties(width=_ACROSS, height=_HIGH)
    title = f"Association with {outcome}: important and badly rated is top left"
    legend = (
        "lines: 90 % intervals; dashed: the averages; area: how many use it; hollow: its interval crosses a dashed line"
    )
    return styled(chart, title, legend)


def penalty_reward_chart(ratings: pd.DataFrame, outcome: str) -> alt.LayerChart:
    """Draw for each touchpoint what a low and a very good rating go along with, beside the middle of the scale."""
    rows = ratings[ratings["penalty"].notna() & ratings["reward"].notna()]
    values = _oriented(rows, ("penalty", "reward")).assign(name=_names(rows))
    values = values.assign(reach_of=values[["penalty", "reward"]].abs().max(axis=1)).sort_values(
        "reach_of", ascending=False, kind="stable"
    )
    values = values.assign(rank=np.arange(len(values)), text=values["kind"].astype(str))
    sides = [values.assign(side=side, at=values[side], lo=values[f"{side}_lo"], hi=values[f"{side}_hi"])
             for side in ("penalty", "reward")]  # fmt: skip
    both = pd.concat(sides, ignore_index=True)
    colour = alt.Color("side:N", scale=alt.Scale(domain=["penalty", "reward"], range=[BAD, GOOD]), legend=None)
    y = alt.Y("rank:O", axis=None, scale=alt.Scale(padding=0))
    base: Any = alt.Chart(both).encode(y=y)
    once: Any = alt.Chart(values).encode(y=y)
    scale = alt.Scale(domain=_domain(both, "at", 0.0), nice=False)
    x = alt.X("at:Q", title=_unit(rows, outcome), scale=scale, axis=alt.Axis(tickCount=6))
    layers = [
        once.mark_rule(color=LINE, strokeWidth=3).encode(x=alt.X("penalty:Q", scale=scale), x2="reward:Q"),
        alt.Chart(values.head(1)).mark_rule(color=ZERO).encode(x=alt.datum(0)),
        base.mark_rule(strokeWidth=5, opacity=0.35).encode(x=alt.X("lo:Q", scale=scale), x2="hi:Q", color=colour),
        base.mark_circle(size=70, opacity=1).encode(x=x, color=colour),
        once.mark_text(align="left", x=-LEFT, fontSize=12, color=INK, limit=LEFT - 12).encode(text="name:N"),
        once.mark_text(align="left", x=WIDTH + 14, fontSize=12, color=INK).encode(text="text:N"),
    ]
    chart: alt.LayerChart = alt.LayerChart(layer=layers).properties(width=WIDTH, height=alt.Step(ROW))
    title = f"Association of low and very good ratings with {outcome}"
    legend = "vermilion: low third of the scale, blue: top third, both beside the middle third; band: 90 % interval"
    return styled(chart, title, legend)


_AXES = ("performance", "population_point")


def _names(rows: pd.DataFrame) -> list[str]:
    """Name drivers, with their journey where two have the same name."""
    names = rows["driver"].map(short_name)
    journeys = rows["journey"].where(names.duplicated(keep=False), None)
    return [label(journey, name) for journey, name in zip(journeys, names, strict=True)]


def _oriented(rows: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """Turn numbers so that more is better, churn in points of 100 customers."""
    factor = np.where(rows["better"].eq("lower"), -1.0, 1.0) * np.where(rows["outcome"].eq("churn"), 100.0, 1.0)
    turned: dict[str, Any] = {}
    for column in columns:
        ends = [factor * rows[f"{column}_{end}"].astype(float) for end in ("lo", "hi")]
        turned |= {column: factor * rows[column].astype(float)}
        turned |= {f"{column}_lo": np.minimum(*ends), f"{column}_hi": np.maximum(*ends)}
    return rows.assign(**turned)


def _unit(rows: pd.DataFrame, outcome: str) -> str:
    if outcome == "churn":
        return "Percentage points fewer leave"
    return f"{outcome[:1].upper()}{outcome[1:]} {'lower' if (rows['better'] == 'lower').any() else 'higher'} by"


def _gain_title(rows: pd.DataFrame, outcome: str) -> str:
    return f"{_unit(rows, outcome)} for one point better, over all customers"


def _straddles(values: pd.DataFrame, column: str, line: float) -> pd.Series:
    return (values[f"{column}_lo"] <= line) & (values[f"{column}_hi"] >= line)


def _labels(values: pd.DataFrame) -> list[str]:
    """Name the dots, the most important first, where a name does not cover another one."""
    (left, right), (low, high) = (_domain(values, name) for name in _AXES)
    at_x = (values["performance"] - left) / (right - left) * _ACROSS
    at_y = (values["population_point"] - low) / (high - low) * _HIGH
    found, placed = [""] * len(values), list[tuple[float, float, float]]()
    for place in np.argsort(-at_y.to_numpy(), kind="stable"):
        text, x, y = str(values["name"].iloc[place]), float(at_x.iloc[place]), float(at_y.iloc[place])
        end = x + _LETTER * len(text)
        if all(abs(y - other) >= _LINE or end < start or x > stop for start, stop, other in placed):
            found[place] = text
            placed.append((x, end, y))
    return found


def _domain(values: pd.DataFrame, column: str, anchor: float | None = None) -> list[float]:
    """Room for every interval, and a little air."""
    ends = ["lo", "hi"] if column == "at" else [f"{column}_lo", f"{column}_hi"]
    found = values[ends].to_numpy(float)
    found = found[np.isfinite(found)]
    low, high = (float(found.min()), float(found.max())) if len(found) else (0.0, 1.0)
    if anchor is not None:
        low, high = min(low, anchor), max(high, anchor)
    air = 0.06 * (high - low or 1.0)
    return [low - air, high + air]
