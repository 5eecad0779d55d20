"""What MLflow shows of an initiative: few parameters and metrics, the same for all, with units in their names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from flows.wording import chance, money, points, span, whole
from models.costs import COST_PARTS, pert_mean
from models.initiatives import Initiative

__all__ = ["described", "metrics_of", "params_of", "plan_described"]


def params_of(initiative: Initiative, currency: str) -> dict[str, str | float]:
    """Say what an initiative is, key by key.

    Parameters
    ----------
    initiative : Initiative
        As the file has it.
    currency : str
        Code; part of the names of costs.

    Returns
    -------
    dict
        Every key for every initiative, so that MLflow's comparison has no holes: texts, shares in [0, 1], months,
        amounts. A part of the cost that is not known is its mean.
    """
    unit, delivery = currency.lower(), initiative.delivery
    where = "; ".join(f"{name}: {', '.join(values)}" for name, values in sorted(initiative.where.items()))
    costs = {f"cost_{part}_{unit}": pert_mean(initiative.cost.limits(part)) for part in COST_PARTS}
    return {
        "changes": "; ".join(change.describe() for change in initiative.changes),
        "owner": initiative.owner or "nobody named",
        "where": where or "all customers",
        "reach_share": initiative.reach,
        "delivery_low_share": delivery[0],
        "delivery_likely_share": delivery[1],
        "delivery_high_share": delivery[2],
        "start_month": initiative.start_month,
        "ramp_months": initiative.ramp_months,
        "lasts_months": "to the end" if initiative.lasts_months is None else initiative.lasts_months,
        **costs,
    }


def metrics_of(row: Mapping[str, Any], currency: str) -> dict[str, float]:
    """Pick what initiatives are compared by from a row of ``simulate.json``.

    Parameters
    ----------
    row : mapping
        As `models.simulation.Comparison.to_frame` names things; numbers of a refused initiative are None.
    currency : str
        Code; part of the names.

    Returns
    -------
    dict of str to float
        Names in alphabetical order, as MLflow shows them; empty for a refused initiative. ``_low`` and ``_high`` are
        the ends of 90 % intervals.
    """
    unit = currency.lower()
    named = {
        "npv": f"npv_{unit}_mean", "npv_lo": f"npv_{unit}_low", "npv_hi": f"npv_{unit}_high",
        "npv_worst": f"npv_{unit}_worst_tenth", "p_npv_positive": "p_npv_above_0",
        "churn_effect": "churn_points_mean", "churn_lo": "churn_points_low", "churn_hi": "churn_points_high",
        "revenue_effect": f"revenue_per_customer_{unit}_mean", "revenue_lo": f"revenue_per_customer_{unit}_low",
        "revenue_hi": f"revenue_per_customer_{unit}_high", "cost": f"cost_{unit}_mean", "roi": "return_on_cost",
        "payback_months": "payback_months", "customers_retained": "customers_retained",
        "support_share": "support_share", "n": "customers_behind_it",
    }  # fmt: skip
    found = {}
    for column, name in named.items():
        value = row.get(column)
        if value is not None and math.isfinite(value):
            found[name] = 100 * float(value) if column.startswith("churn") else float(value)
    return dict(sorted(found.items()))


def described(row: Mapping[str, Any], currency: str, months: int, horizon_days: int) -> str:
    """Say in two sentences what was found of an initiative.

    Parameters
    ----------
    row : mapping
        Of ``simulate.json``.
    currency : str
        Code.
    months, horizon_days : int
        Over which money and effects are counted.
    """
    if row["npv"] is None:
        return f"**Refused.** {row['reason']}"

    def amount(value: float) -> str:
        return money(value, currency)

    value = f"{amount(row['npv'])} ({span(row['npv_lo'], row['npv_hi'], amount)})"
    change, ends = row["churn_effect"], (row["churn_lo"], row["churn_hi"])
    return (
        f"**{str(row['verdict']).capitalize()}**: {value} over {months} months, {chance(row['p_npv_positive'])} likely "
        f"to pay. It changes churn over {horizon_days} days by {points(change)} points ({span(*ends, points)}) and "
        f"costs {amount(row['cost'])}; intervals are 90 % intervals."
    )


def plan_described(found: pd.DataFrame, currency: str, months: int, customers: int) -> str:
    """Say in two sentences what was found of all initiatives together.

    Parameters
    ----------
    found : DataFrame
        From `models.simulation.Comparison.to_frame`.
    currency : str
        Code.
    months, customers : int
        Over which and for whom money is counted.
    """
    worth = found[found["verdict"] == "worth it"].sort_values(["npv", "name"], ascending=[False, True])
    many = f"Of {len(found)} initiatives for {whole(customers)} customers over {months} months"
    how = "Select the runs below this one and press Compare, or read initiatives.csv."
    if worth.empty:
        return f"{many} none is worth its cost. {how}"
    best = worth.iloc[0]

    def amount(value: float) -> str:
        return money(value, currency)

    value = f"{amount(best['npv'])} ({span(best['npv_lo'], best['npv_hi'], amount)})"
    return f"{many} {len(worth)} are worth their cost, most of all **{best['title']}**: {value}. {how}".replace(
        " 1 are worth their cost, most of all", " one is worth its cost,"
    )
