"""The tables of the data check: which columns, in which words."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from features.findings import numbered
from features.health import Health
from features.study import Study
from flows.check_charts import missing_by_period
from flows.report_page import Column, Table, table
from flows.wording import dash, label, percent, plain, whole

__all__ = [
    "clock_table",
    "code_table",
    "finding_table",
    "instant_table",
    "join_table",
    "late_table",
    "measure_table",
    "missing_tables",
    "order_table",
    "quarantine_table",
    "row_table",
    "volume_table",
]

_MOST_COLUMNS = 8


def finding_table(health: Health) -> Table:
    """Every finding, worst first, and what to do about it."""
    columns = [
        Column("Found", lambda row: str(row["what"])),
        Column("Severity", lambda row: str(row["severity"]), "verdict"),
        Column("What to do", lambda row: row["remedy"] or dash),
    ]
    caption = "Findings, worst first. Stop: results would be wrong. Look: they may be. Fine: good to know."
    return table(caption, columns, health.findings_frame())


def row_table(health: Health) -> Table:
    """Rows read, kept and set aside."""
    columns = [
        _text("Table", "table"),
        _count("Rows read", "read"),
        _count("Used", "kept"),
        _count("In quarantine", "quarantined"),
        Column("Share in quarantine", lambda row: _share(row["quarantined"] / row["read"]), "number"),
    ]
    return table("What was read, and what of it is used", columns, health.to_frame())


def join_table(health: Health) -> Table:
    """Count customers who are lost where a table meets the customers."""
    columns = [
        _text("Table", "table"),
        _count("Rows read", "read"),
        _count("Unknown customer", "unknown_customer"),
        _count("Customers reached", "customers"),
        Column("Share of all customers", lambda row: _share(row["share"]), "number"),
    ]
    stock = health.stock
    note = (
        f"Of {health.customers:,} customers, {stock.without_touchpoints:,} have no touchpoints, "
        f"{stock.without_revenue:,} no revenue, {stock.without_either:,} neither."
    )
    return table(
        "A row whose customer is not among the customers is set aside; this many customers each table reaches",
        columns,
        health.joins_frame(),
        note,
    )


def quarantine_table(health: Health) -> Table:
    """Rows set aside, by reason, with the numbers of the first."""
    found = [(one.table, one.reason, one.rows, numbered(one.rows, one.examples)) for one in health.quarantined]
    rows = pd.DataFrame(found, columns=["table", "reason", "rows", "which"]).sort_values("rows", ascending=False)
    columns = [_text("Table", "table"), _text("Reason", "reason"), _count("Rows", "rows"), _text("Which", "which")]
    return table(
        "Rows that broke a rule, most frequent first; all of them lie in the store's quarantine folder", columns, rows
    )


def measure_table(health: Health, study: Study) -> Table:
    """Describe each measure."""
    units = {measure.name: f"{measure.unit}, {measure.kind}" for measure in study.measures}
    columns = [
        Column("Measure", lambda row: label(row["measure"])),
        Column("Unit, kind", lambda row: units[row["measure"]]),
        _count("Values", "n"),
        Column("Missing", lambda row: _share(row["missing_share"]), "number"),
        *(Column(name.capitalize(), partial(_number, name), "number") for name in ("low", "median", "mean", "high")),
    ]
    caption = "Missing is the share of rows without a value among those where one is expected"
    return table(caption, columns, health.measures_frame())


def code_table(health: Health) -> Table:
    """Values that look like codes."""
    columns = [
        Column("Measure", lambda row: label(row["measure"])),
        Column("Value", partial(_number, "value"), "number"),
        _count("Rows", "rows"),
        Column("Other values", lambda row: f"{_short(row['low'])} to {_short(row['high'])}", "number"),
        Column("Its rows are", lambda row: "in quarantine" if row["is_outside"] else "used"),
    ]
    rows = pd.DataFrame([code.model_dump() for code in health.stock.codes])
    return table("Values that look like codes", columns, rows)


def missing_tables(periods: pd.DataFrame, word: str) -> list[Table]:
    """Missing share of each measure that is ever missing, by month or wave, at most eight measures a table."""
    found = missing_by_period(periods)
    wide = found.pivot_table(index="period", columns="measure", values="missing_share", sort=False)
    wide = wide.sort_index() if word == "month" else wide
    names = [name for name in wide.columns if (wide[name] > 0).any()]
    first = _text(word.capitalize(), "period")
    parts = [names[start : start + _MOST_COLUMNS] for start in range(0, len(names), _MOST_COLUMNS)]
    columns = [[first, *(Column(label(name), partial(_cell, name), "number") for name in part)] for part in parts]
    return [table(f"Share of rows without a value, by {word}", part, wide.reset_index()) for part in columns]


def volume_table(health: Health) -> Table:
    """Touchpoints by month and journey."""
    wide = health.volumes_frame().pivot_table(index="month", columns="journey", values="touchpoints", fill_value=0)
    names = wide.sum().sort_values(ascending=False, kind="stable").index
    wide = wide[names].assign(total=wide.sum(axis=1)).reset_index()
    columns = [_text("Month", "month"), *(_count(label(str(name)), str(name)) for name in names)]
    return table("Touchpoints, busiest journeys first", [*columns, _count("All", "total")], wide)


def order_table(health: Health) -> Table:
    """Rows at odd times in a customer's life."""
    columns = [
        _text("Table", "table"),
        _count("Before joining", "before_joining"),
        _count("A day or more after churn", "after_churn"),
        _count("A day or more after ended_at", "after_end"),
    ]
    return table("Rows at odd times in a customer's life; none of them is left out", columns, health.order_frame())


def late_table(health: Health) -> Table:
    """How much became known late, and how late."""
    columns = [
        Column("Journey", lambda row: label(row["journey"])),
        _count("Touchpoints", "rows"),
        _count("Known later", "late"),
        Column("Share", lambda row: _share(row["share"]), "number"),
        Column("Half within, days", partial(_number, "median_days"), "number"),
        Column("95 % within, days", partial(_number, "p95_days"), "number"),
    ]
    return table("Touchpoints that became known after they happened, by journey", columns, health.late_frame())


def clock_table(health: Health) -> Table:
    """Compare times of day in each journey."""
    found = [(one.journey, sum(one.hours) + one.others, sum(one.hours), one.hours) for one in health.stock.clocks]
    rows = pd.DataFrame(
        [(journey, n, full / n, max(hours) / n, int(np.argmax(hours))) for journey, n, full, hours in found if n],
        columns=["journey", "rows", "full", "most", "hour"],
    )
    columns = [
        Column("Journey", lambda row: label(row["journey"])),
        _count("Touchpoints", "rows"),
        Column("At a full hour", lambda row: _share(row["full"]), "number"),
        Column("At the fullest one", lambda row: _share(row["most"]), "number"),
        Column("Which, UTC", lambda row: f"{row['hour']:02d}:00" if row["most"] else dash, "number"),
    ]
    return table("Times of day: all at one hour means that only the day is known", columns, rows)


def instant_table(health: Health) -> Table:
    """Moments that hold far more than others."""
    rows = pd.DataFrame([one.model_dump() for one in health.stock.instants])
    columns = [
        Column("Moment, UTC", lambda row: str(np.datetime64(int(row["at"]), "us").astype("datetime64[s]"))),
        Column("Touchpoint", lambda row: label(row["journey"], row["touchpoint"])),
        _count("Touchpoints", "rows"),
        Column("Usual in a moment", partial(_number, "usually"), "number"),
    ]
    return table("Moments that hold far more touchpoints than others", columns, rows)


def _text(title: str, column: str) -> Column:
    return Column(title, lambda row: str(row[column]))


def _count(title: str, column: str) -> Column:
    return Column(title, lambda row: whole(row[column]), "number")


def _number(column: str, row: pd.Series) -> str:
    return _short(float(row[column]))


def _cell(column: str, row: pd.Series) -> str:
    return _share(float(row[column]))


def _short(value: float) -> str:
    """Write a number with three significant digits, without zeros at its end."""
    text = plain(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _share(value: float) -> str:
    """Write a share so that none and all are told from nearly none and nearly all."""
    if 0 < value < 0.0005:
        return "<\u00a00.1\u00a0%"
    if 0.9995 <= value < 1:
        return ">\u00a099.9\u00a0%"
    return percent(value, 0 if value in {0, 1} else 1)
