"""Findings as sentences for a manager: one number, its unit, its interval, and what it rests on."""

from __future__ import annotations

import math
from functools import partial

import pandas as pd

from flows.charts import BASELINES, effect_name
from flows.report_data import DataHealth, ReportHeader
from flows.wording import alike, chance, label, money, percent, points, span, whole

__all__ = [
    "constant_sentence",
    "correlation_sentence",
    "effects_sentence",
    "health_sentence",
    "initiative_sentence",
    "quality_sentence",
    "verdicts_sentence",
    "worth_sentence",
]


def worth_sentence(initiatives: pd.DataFrame, header: ReportHeader) -> str:
    """Say which initiative is worth most, or that none is."""
    worth = initiatives[initiatives["verdict"] == "worth it"].sort_values("npv", ascending=False)
    if worth.empty:
        return "None of the initiatives is worth its cost on the evidence at hand."
    best = worth.iloc[0]
    others = f" {len(worth)} of {len(initiatives)} initiatives are worth their cost." if len(worth) > 1 else ""
    write = partial(money, currency=header.currency)
    interval = span(best["npv_lo"], best["npv_hi"], write)
    return (
        f"“{best['title']}” is worth most: {write(best['npv'])} over {header.months} months "
        f"(90 % interval {interval}), {chance(best['p_npv_positive'])} likely to pay.{others}"
    )


def initiative_sentence(row: pd.Series, header: ReportHeader) -> str:
    """Say what one initiative is worth, how sure that is, and where it comes from."""
    write = partial(money, currency=header.currency)
    interval = span(row["npv_lo"], row["npv_hi"], write)
    more = "more" if row["revenue_effect"] >= 0 else "less"
    return (
        f"“{row['title']}”: {write(row['npv'])} over {header.months} months (90 % interval {interval}), "
        f"{chance(row['p_npv_positive'])} likely to pay. {_churn_clause(row)} within {header.horizon_days} days; "
        f"a customer brings {write(abs(row['revenue_effect']))} {more}.{_payback_clause(row['payback_months'])}"
    )


def constant_sentence(simulated: pd.DataFrame, currency: str) -> str:
    """Say what the best initiative would be worth if customers left at a constant rate; empty where they do."""
    if "npv_constant" not in simulated or simulated.empty:
        return ""
    best = simulated.sort_values("npv", ascending=False).iloc[0]
    if best["npv"] == best["npv_constant"] or math.isnan(best["npv_constant"]):
        return ""
    write = partial(money, currency=currency)
    ends = span(best["npv_constant_lo"], best["npv_constant_hi"], write)
    return (
        f"If customers left at the same rate in every month, “{best['title']}” would be worth "
        f"{write(best['npv_constant'])} ({ends}) instead of {write(best['npv'])}."
    )


def _churn_clause(row: pd.Series) -> str:
    """Count leavers in 1,000 customers."""
    change = 1000 * float(row["churn_effect"])
    if abs(change) < 0.05:
        return "As many customers stay as before"
    more = "fewer" if change < 0 else "more"
    ends = sorted((abs(1000 * float(row["churn_lo"])), abs(1000 * float(row["churn_hi"]))))
    sure = row["churn_hi"] < 0 or row["churn_lo"] > 0
    interval = f" ({ends[0]:.1f} to {ends[1]:.1f})" if sure else " (the interval includes none)"
    return f"Of 1,000 customers {abs(change):.1f}{interval} {more} leave"


def _payback_clause(months: float) -> str:
    """Say when the cost is earned back."""
    if math.isnan(months):
        return ""
    when = f"after {whole(months)} months" if months >= 1 else "at once"
    return f" Its cost is earned back {when}."


def verdicts_sentence(initiatives: pd.DataFrame) -> str:
    """Count the verdicts: 3 worth it, 3 undecided, 1 harmful."""
    order = ("worth it", "undecided", "not worth it", "harmful", "unsupported", "refused")
    counts = initiatives["verdict"].value_counts()
    parts = [f"{counts[verdict]} {verdict}" for verdict in order if verdict in counts]
    return f"Of {len(initiatives)} initiatives: {', '.join(parts)}."


def effects_sentence(effects: pd.DataFrame, header: ReportHeader) -> str:
    """Say which improvement keeps most customers."""
    sure = effects[(effects["churn_hi"] < 0) & (effects["verdict"] != "unsupported")].sort_values("churn_effect")
    if sure.empty:
        return "No single improvement changes churn beyond what chance would do."
    best = sure.iloc[0]
    interval = span(best["churn_lo"], best["churn_hi"], points)
    return (
        f"The improvement that keeps most customers is “{effect_name(best)}”: it changes churn over "
        f"{header.horizon_days} days by {points(best['churn_effect'])} percentage points (90 % interval {interval})."
    )


def correlation_sentence(effects: pd.DataFrame) -> str:
    """Say how far the raw contrasts are from the estimated effects."""
    known = effects[effects["raw_churn_effect"].notna() & effects["churn_effect"].notna()]
    if known.empty:
        return ""
    raw, lo, hi = known["raw_churn_effect"], known["churn_lo"], known["churn_hi"]
    outside = int(((raw < lo) | (raw > hi)).sum())
    clear = known[(hi < 0) | (lo > 0)]
    wrong = clear[clear["raw_churn_effect"] * clear["churn_effect"] < 0]
    text = f"Correlation misleads: for {outside} of {len(known)} measures the raw contrast lies outside the interval."
    if outside == 0:
        return "Here the raw contrasts lie within the intervals of the estimated effects."
    first, top = known.sort_values("churn_effect").iloc[0], known.sort_values("raw_churn_effect").iloc[0]
    if first.name != top.name:
        text += f" It would have put “{effect_name(top)}” first."
    if len(wrong):
        text += f" It has the wrong sign for {', '.join(f'“{effect_name(row)}”' for _, row in wrong.iterrows())}."
    return text


def quality_sentence(metrics: pd.DataFrame) -> str:
    """Say which churn model is best out of time, and whether it beats the baselines."""
    rows = metrics[(metrics["outcome"] == "churn") & (metrics["metric"] == "log_loss") & (metrics["fold"] == "all")]
    rows = rows[rows["value"].notna()].sort_values("value")
    models, baselines = rows[~rows["candidate"].isin(BASELINES)], rows[rows["candidate"].isin(BASELINES)]
    if models.empty:
        return "No churn model has been tested on unseen data."
    best = models.iloc[0]
    text = f"On data it had not seen, the {best['candidate']} model predicts churn best"
    write = alike(best["value"], best["lo"], best["hi"])
    if baselines.empty:
        return f"{text}: log loss {write(best['value'])}."
    bar = baselines.iloc[0]
    relation = "better than" if best["value"] < bar["value"] else "not better than"
    losses = f"log loss {write(best['value'])} against {write(bar['value'])}"
    return f"{text}, {relation} the best baseline, {bar['candidate']} ({losses})."


def health_sentence(health: DataHealth) -> str:
    """Say how much was put aside, and which measure is missing most."""
    aside = int(health.quarantined["rows"].sum()) if len(health.quarantined) else 0
    text = f"{whole(aside)} rows were put aside" if aside else "No row had to be put aside"
    worst = health.missing.sort_values("missing_share", ascending=False).head(1)
    if len(worst) and float(worst["missing_share"].iloc[0]) > 0:
        share = percent(float(worst["missing_share"].iloc[0]))
        text += f"; {label(worst['measure'].iloc[0])} is missing most, for {share} of its touchpoints"
    return f"{text}."
