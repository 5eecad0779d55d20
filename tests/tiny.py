"""A company of 160 customers and ten months, small enough to run every flow many times in a minute."""

from pathlib import Path

import numpy as np
import pandas as pd

STUDY = """\
study: tiny
sources: {customers: customers.parquet, touches: touches.parquet, churn: churn.parquet, invoices: invoices.parquet}
customers: {from: customers, columns: {customer_id: id}}
touchpoints: {from: touches, columns: {customer_id: id, journey: process, occurred_at: at}, session_gap_days: 14}
churn: {from: churn, columns: {customer_id: id, churned_at: at}}
revenue: {from: invoices, columns: {customer_id: id, occurred_at: at}}
journeys: [{name: billing, stage: use}, {name: support, stage: use}]
measures:
  - {name: wait, unit: min, kind: duration, direction: lower, journeys: [support]}
  - {name: outage, unit: h, kind: duration, direction: lower, journeys: [billing]}
snapshot: {every: month, window_days: 60, gap_days: 0, horizon_days: 30}
engine: {workers: 1, threads: 1}
"""

PLANS = """\
initiatives:
  - name: faster-support
    changes: [{journey: support, measure: wait, scale: 0.5}]
    cost: {once: 100}
  - name: fewer-outages
    changes: [{journey: billing, measure: outage, scale: 0.5}]
    cost: {once: 100}
"""

_START = pd.Timestamp("2024-01-01", tz="UTC")
_DAYS = 300


def write_tiny(folder: Path, *, customers: int = 160, edit: str = "", seed: int = 1, days: int = _DAYS) -> Path:
    """Write tables, study and initiatives; `edit` is added to the study. Long waits make customers leave.

    With fewer `days`, tables are as they stood earlier: what is there is the same.
    """
    rng = np.random.default_rng(seed)
    ids = np.array([f"c{i:03d}" for i in range(customers)])
    quality = rng.gamma(2, 3, customers)
    left = 45 + rng.exponential(1 + 2_500 / (1 + quality), customers)
    folder.mkdir(parents=True, exist_ok=True)
    who, day = (one.ravel() for one in np.meshgrid(np.arange(customers), np.arange(4, _DAYS, 15), indexing="ij"))
    there = day < left[who]
    who, day = who[there], day[there]
    is_support = rng.random(len(who)) < 0.5
    wait = np.where(is_support, quality[who] * rng.gamma(4, 0.25, len(who)), np.nan)
    outage = np.where(is_support, np.nan, rng.integers(0, 4, len(who)))
    at = _START + pd.to_timedelta(day * 24 + rng.integers(0, 20, len(who)), unit="h")
    kinds = np.where(is_support, "support", "billing")
    gone = left < _DAYS - 1
    tables = {
        "customers": pd.DataFrame({"id": ids, "joined_at": _START}),
        "touches": pd.DataFrame({"id": ids[who], "process": kinds, "at": at, "wait": wait, "outage": outage}),
        "churn": pd.DataFrame({"id": ids[gone], "at": _START + pd.to_timedelta(left[gone].astype(int), unit="D")}),
        "invoices": pd.DataFrame({"id": ids[who], "at": at, "amount": rng.gamma(9, 3, len(who))}),
    }
    end = _START + pd.Timedelta(days=days)
    for name, table in tables.items():
        known = table.loc[table["at"] < end] if "at" in table else table
        known.to_parquet(folder / f"{name}.parquet", index=False)
    (folder / "study.yaml").write_text(STUDY + edit, encoding="utf-8")
    (folder / "initiatives.yaml").write_text(PLANS, encoding="utf-8")
    return folder / "study.yaml"
