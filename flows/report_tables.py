"""The tables of the report: which columns, in which words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import pandas as pd

from flows.charts import effect_name
from flows.hidden_causes import undone_by
from flows.report_data import DataHealth, ReportHeader
from flows.report_page import Column, Table, table
from flows.wording import alike, chance, dash, decimal, money, money_short, percent, points, span, whole

__all__ = [
    "METRICS",
    "adjustment_table",
    "counters_table",
    "effects_table",
    "initiative_effects_table",
    "metrics_table",
    "money_table",
    "pairs_table",
    "quarantine_table",
    "verdict_table",
]

METRICS = {
    "log_loss": "Log loss (lower is better)",
    "brier": "Brier score (lower is better)",
    "auc": "AUC: a leaver is ranked above a stayer",
    "average_precision": "Average precision",
    "calibration_slope": "Calibration slope (1 is right)",
    "calibration_intercept": "Calibration intercept (0 is right)",
    "brier_miscalibration": "of the Brier score: risks that do not mean what they say (lower is better)",
    "brier_discrimination": "of the Brier score: told apart by the risks (higher is better)",
    "lift_10": "Lift in the riskiest tenth",
    "captured_10": "Share of the leavers in the riskiest tenth",
    "expected_max_profit": "Expected maximum profit a customer (worth 200, offer 10, contact 1)",
    "mean_calibration": "Predicted over observed total (1 is right)",
    "mae": "Mean absolute error (lower is better)",
    "deviance": "Tweedie deviance, power 1.5 (lower is better)",
    "rmse": "Root mean squared error (lower is better)",
    "r2": "R²: share of variance predicted",
}
"""What each metric is called and which way is better."""


def money_table(simulated: pd.DataFrame, header: ReportHeader) -> Table:
    """Cost, value and chance of every simulated initiative."""
    write = partial(money_short, currency=header.currency)
    columns = [
        Column("Initiative", lambda row: str(row["title"])),
        _with_interval("Net present value", "npv", write),
        Column("Chance to pay", lambda row: chance(row["p_npv_positive"]), "number"),
        *_worst_column(simulated, write),
        _with_interval("Cost", "cost", write),
        Column("Return on cost", lambda row: decimal(row["roi"], 1), "number"),
        Column("Payback, months", lambda row: whole(row["payback_months"]), "number"),
        Column("Verdict", lambda row: str(row["verdict"]), "verdict"),
    ]
    caption = f"Money over {header.months} months, present values in {header.currency} with 90 % intervals"
    return table(caption, columns, simulated)


def _worst_column(simulated: pd.DataFrame, write: Callable[[float], str]) -> list[Column]:
    """Mean of the worst draws; results of earlier versions have none."""
    if "npv_worst" not in simulated:
        return []
    return [Column("Mean of the worst tenth", lambda row: write(row["npv_worst"]), "number")]


def pairs_table(pairs: pd.DataFrame, titles: Mapping[str, str], header: ReportHeader) -> Table:
    """Pairs of initiatives beside the sum of both."""
    write = partial(money_short, currency=header.currency)
    columns = [
        Column("Together", lambda row: f"{titles[row['first']]} + {titles[row['second']]}"),
        Column("Sum of both alone", lambda row: write(row["npv_sum"]), "number"),
        _with_interval("Value together", "npv_together", write),
        _with_interval("Difference", "difference", write),
        Column(
            "Churn counted twice, points",
            lambda row: dash if pd.isna(row["churn_overlap"]) else points(-row["churn_overlap"]),
            "number",
        ),
    ]
    return table(f"Two at once, over {header.months} months, in {header.currency} with 90 % intervals", columns, pairs)


def verdict_table(found: pd.DataFrame) -> Table:
    """Every initiative with its verdict and the reason, the best first."""
    columns = [
        Column("Initiative", lambda row: str(row["title"])),
        Column("Verdict", lambda row: str(row["verdict"]), "verdict"),
        Column("Why", lambda row: row["reason"] or dash),
        Column("Inside what was observed", lambda row: percent(row["support_share"]), "number"),
        Column("Customers", lambda row: whole(row["n"]), "number"),
    ]
    rows = found.sort_values("npv", ascending=False, na_position="last")
    return table("Verdict on each initiative, refused ones included", columns, rows)


def initiative_effects_table(found: pd.DataFrame, header: ReportHeader) -> Table:
    """Churn and revenue of every simulated initiative."""
    columns = [Column("Initiative", lambda row: str(row["title"])), *_effect_columns(header)]
    rows = found[found["churn_effect"].notna()].sort_values("churn_effect")
    return table(f"Effect of each initiative over {header.horizon_days} days with its 90 % interval", columns, rows)


def effects_table(effects: pd.DataFrame, header: ReportHeader) -> Table:
    """Estimated effects beside the raw contrasts."""
    columns = [
        Column("Improvement", effect_name),
        *_effect_columns(header),
        Column("Raw contrast, points", lambda row: points(row["raw_churn_effect"]), "number"),
        Column("Inside what was observed", lambda row: percent(row["support_share"]), "number"),
        Column("Verdict", lambda row: str(row["verdict"]), "verdict"),
    ]
    rows = effects.sort_values("churn_effect")
    caption = f"Effect of each improvement over {header.horizon_days} days with its 90 % interval, and the raw contrast"
    return table(caption, columns, rows)


def _effect_columns(header: ReportHeader) -> list[Column]:
    """Churn and revenue, each with its interval."""
    write = partial(money, currency=header.currency)
    return [
        _with_interval("Churn, points", "churn_effect", points),
        _with_interval("Revenue per customer", "revenue_effect", write),
    ]


def _with_interval(title: str, column: str, write: Callable[[float], str]) -> Column:
    """Set a number with its interval below, or alone where the interval has no width."""
    stem = column.removesuffix("_effect")

    def cell(row: pd.Series) -> str:
        value, lo, hi = write(row[column]), row[f"{stem}_lo"], row[f"{stem}_hi"]
        # A cost that is known has no interval worth reading.
        return value if lo == hi else f"{value}\n{span(lo, hi, write)}"

    return Column(title, cell, "number")


def metrics_table(rows: pd.DataFrame, caption: str) -> Table:
    """One row a metric, one column a candidate; over all test cutoffs."""
    total = rows[rows["fold"] == "all"]
    candidates = list(dict.fromkeys(total["candidate"]))
    wanted = [metric for metric in METRICS if metric in set(total["metric"])]
    columns = [Column("Metric", lambda row: METRICS[str(row["metric"])])]
    columns += [Column(name, partial(_metric_cell, total, name), "number") for name in candidates]
    return table(caption, columns, pd.DataFrame({"metric": wanted}))


def _metric_cell(total: pd.DataFrame, candidate: str, row: pd.Series) -> str:
    """Write a metric with its interval."""
    found = total[(total["candidate"] == candidate) & (total["metric"] == row["metric"])]
    if found.empty or pd.isna(found["value"].iloc[0]):
        return dash
    one = found.iloc[0]
    write = alike(one["value"], one["lo"], one["hi"])
    return f"{write(one['value'])}\n{span(one['lo'], one['hi'], write)}"


def counters_table(health: DataHealth) -> Table:
    """Rows at each step of the work."""
    columns = [
        Column("What", lambda row: str(row["name"])),
        Column("Number", lambda row: whole(row["value"]), "number"),
    ]
    rows = pd.DataFrame([(one.name, one.value) for one in health.counters], columns=["name", "value"])
    return table("What came in and what was used", columns, rows)


def quarantine_table(health: DataHealth) -> Table:
    """Count what was put aside, by reason."""
    columns = [
        Column("Table", lambda row: str(row["table"])),
        Column("Reason", lambda row: str(row["reason"])),
        Column("Rows", lambda row: whole(row["rows"]), "number"),
    ]
    rows = health.quarantined.sort_values("rows", ascending=False)
    return table("Rows put aside, by reason; the rows themselves lie in the store's quarantine folder", columns, rows)


def adjustment_table(effects: pd.DataFrame) -> Table:
    """Say what each effect holds fixed, and what it rests on."""
    columns = [
        Column("Improvement", effect_name),
        Column("Held fixed", lambda row: row["adjustment"] or dash),
        Column("Robustness value", lambda row: percent(row["robustness_value"], 1), "number"),
        *([Column("Undone by", undone_by, "number")] if "churn_times_as_strong" in effects else []),
        Column("Customers", lambda row: whole(row["n"]), "number"),
        Column("Contacts moved in the estimate", lambda row: whole(row["n_contacts"]), "number"),
    ]
    return table("Adjustment set and basis of each effect", columns, effects.sort_values("churn_effect"))
