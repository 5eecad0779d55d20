"""The charts of a trained model for MLflow: when it was tested, how well it ranks, what it has learned."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from features.snapshot import iso
from flows.intervals import Axis, Estimates, interval_plot, styled
from flows.theme import BAD, GOOD, INK, LINE, MUTED, NEUTRAL, ZERO
from flows.wording import plain
from models.splits import AnyFold, Fold

__all__ = ["coefficient_chart", "fold_chart", "gains_chart", "partial_chart", "survival_chart"]

_MOST = 15
_ROLES = {"trains": NEUTRAL, "embargo": LINE, "tests": GOOD}


def fold_chart(folds: Sequence[AnyFold], matured: Sequence[int]) -> alt.LayerChart:
    """Which cutoffs train and which test in each fold; between them lies the embargo."""
    timed = [fold for fold in folds if isinstance(fold, Fold)]
    every = sorted({at for fold in timed for at in (*fold.train, fold.test)} | set(matured))
    rows = [
        {"fold": f"tested on {fold.label}", "cutoff": iso(at), "role": _role(fold, at)}
        for fold in timed
        for at in every
        if at <= fold.test
    ]
    colour = alt.Color(
        "role:N",
        scale=alt.Scale(domain=list(_ROLES), range=list(_ROLES.values())),
        legend=alt.Legend(title=None, orient="top", labelColor=MUTED, labelFontSize=12),
    )
    step = max(12, min(36, 640 // max(len(every), 1)))
    axis = alt.Axis(labelAngle=-90 if len(every) > 12 else 0, labelOverlap=True, grid=False)
    chart = alt.Chart(pd.DataFrame(rows, columns=["fold", "cutoff", "role"]))
    chart = chart.mark_rect(stroke="white", strokeWidth=2).encode(
        x=alt.X("cutoff:O", title="cutoff", axis=axis),
        y=alt.Y("fold:O", title=None, axis=alt.Axis(grid=False), sort=[f"tested on {fold.label}" for fold in timed]),
        color=colour,
    )
    drawn = alt.LayerChart(layer=[chart]).properties(width=alt.Step(step), height=alt.Step(30))
    return styled(drawn, "Which months train and which test", "what lies in the embargo had not been observed in time")


def gains_chart(gains: pd.DataFrame, winner: str) -> alt.LayerChart:
    """Share of the churners found when the riskiest are approached first; dashed: at random."""
    values = gains.assign(**{name: 100 * gains[name] for name in ("share", "captured", "lo", "hi")})
    others = [name for name in dict.fromkeys(values["candidate"]) if name != winner]
    scale = alt.Scale(domain=[winner, *others], range=[GOOD, INK, NEUTRAL, BAD, ZERO][: len(others) + 1])
    x = alt.X("share:Q", title="Customers approached, riskiest first, %", scale=alt.Scale(domain=[0, 100]))
    y = alt.Y("captured:Q", title="Churners among them, %", scale=alt.Scale(domain=[0, 100]))
    legend = (
        alt.Legend(title=None, orient="right", labelColor=INK, labelFontSize=12, labelLimit=220) if others else None
    )
    lines = (
        alt.Chart(values)
        .mark_line(strokeWidth=2)
        .encode(x=x, y=y, color=alt.Color("candidate:N", scale=scale, legend=legend))
    )
    band = alt.Chart(values[values["candidate"] == winner]).mark_area(color=GOOD, opacity=0.15)
    band = band.encode(x=x, y=alt.Y("lo:Q"), y2="hi:Q")
    ends = pd.DataFrame({"share": [0, 100], "captured": [0, 100]})
    chance = alt.Chart(ends).mark_line(color=ZERO, strokeDash=[4, 4], strokeWidth=1).encode(x="share:Q", y="captured:Q")
    layers = alt.LayerChart(layer=[chance, band, lines]).properties(width=420, height=300)
    return styled(
        layers,
        "Churners found by approaching the riskiest first",
        f"band: 90 % interval of {winner}; dashed: at random",
    )


def coefficient_chart(coefficients: pd.DataFrame) -> alt.LayerChart:
    """Draw the largest coefficients of the logistic regression, in log odds for one deviation, with intervals."""
    rows = coefficients.assign(size=coefficients["coefficient"].abs()).nlargest(_MOST, "size")
    rows = rows.sort_values("coefficient", ascending=False)
    found = Estimates.of(rows["column"].tolist(), rows, "coefficient", plain).toned("lower", [""] * len(rows))
    axis = Axis("log odds of churn for one deviation of the feature", "+.2~f", "lowers the risk", "raises the risk")
    return interval_plot(found, axis, f"The {len(rows)} largest coefficients: association, not effect")


def partial_chart(effects: pd.DataFrame, outcome: str, currency: str) -> alt.FacetChart:
    """Average prediction over the values of the features that move it most."""
    is_risk = outcome == "churn"
    values = effects.assign(predicted=effects["predicted"] * (100 if is_risk else 1))
    order = list(dict.fromkeys(values["feature"]))
    title = "Predicted risk, %" if is_risk else f"Predicted revenue, {currency}"
    panel = (
        alt.Chart(values)
        .mark_line(color=GOOD, strokeWidth=2, point={"color": INK, "size": 14})
        .encode(
            x=alt.X("value:Q", title=None, axis=alt.Axis(tickCount=4), scale=alt.Scale(zero=False, nice=False)),
            y=alt.Y("predicted:Q", title=title, axis=alt.Axis(tickCount=4), scale=alt.Scale(zero=False)),
        )
    )
    header = alt.Header(labelAnchor="start", labelLimit=260, labelFontSize=12)
    facet = alt.Facet("feature:N", title=None, sort=order, header=header)
    one: alt.LayerChart = alt.LayerChart(layer=[panel]).properties(width=240, height=130)
    charts: alt.FacetChart = one.facet(facet, columns=3, spacing=32).resolve_scale(x="independent")
    legend = "the shape of the model, not what a change would do"
    return styled(charts, "Average prediction when everybody has the value", legend)


def survival_chart(survival: pd.DataFrame) -> alt.FacetChart:
    """Draw the share of customers still there month by month, one panel a covariate, one line a level."""
    parts = survival["segment"].str.partition(" = ")
    values = survival.assign(panel=parts[0].where(parts[1] != "", "everybody"), level=parts[2])
    values = values.assign(**{name: 100 * values[name].astype(float) for name in ("survival", "lo", "hi", "fitted")})
    low = max(0.0, float(np.floor(values[["lo", "fitted"]].min().min() / 5) * 5))
    scale = alt.Scale(domain=[low, 100], nice=False)
    x = alt.X("month:Q", title="Months after the cutoff", axis=alt.Axis(tickMinStep=1))
    colour = alt.Color("level:N", scale=alt.Scale(range=[GOOD, BAD, INK, NEUTRAL, ZERO]), legend=None)
    base = alt.Chart(_labelled(values, 0.075 * (100 - low)))
    y = alt.Y("survival:Q", scale=scale, title="Still there, %")
    layers = [
        base.mark_area(opacity=0.12).encode(x=x, y=alt.Y("lo:Q", scale=scale), y2="hi:Q", color=colour),
        base.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour),
        base.mark_line(strokeDash=[3, 3], strokeWidth=1.5).encode(x=x, y="fitted:Q", color=colour),
        base.mark_text(align="left", dx=6, fontSize=11).encode(x=x, y="label_at:Q", text="label:N", color=colour),
    ]
    one: alt.LayerChart = alt.LayerChart(layer=layers).properties(width=250, height=190)
    header = alt.Header(labelAnchor="start", labelFontSize=12)
    facet = alt.Facet("panel:N", title=None, sort=list(dict.fromkeys(values["panel"])), header=header)
    charts: alt.FacetChart = one.facet(facet, columns=2, spacing={"row": 36, "column": 120})
    legend = "line and band: observed, with 90 % interval; dashed: as the churn model has it"
    drawn: alt.FacetChart = styled(charts.resolve_scale(color="independent"), "How long customers stay", legend)
    return drawn


def _labelled(values: pd.DataFrame, least: float) -> pd.DataFrame:
    """Put the name of each line behind its end, and names at least so far apart that they can be read."""
    ends = values.groupby(["panel", "level"], sort=False)["month"].transform("max") == values["month"]
    at: dict[object, float] = {}
    for _, rows in values.loc[ends].groupby("panel", sort=False):
        height = -np.inf
        for index, value in rows["survival"].sort_values().items():
            height = max(float(value), height + least)
            at[index] = height
    return values.assign(label=values["level"].where(ends, ""), label_at=values.index.map(at).astype(float))


def _role(fold: Fold, at: int) -> str:
    return "trains" if at in fold.train else "tests" if at == fold.test else "embargo"
