"""Touchpoints of four customers whose paths, troubles and waits are counted by hand."""

from pathlib import Path

import numpy as np
import pandas as pd

from features.layout import Layout, lay_out
from features.snapshot import parse_date
from features.study import Study, parse_study

STUDY = """\
study: shop
sources: {customers: customers.parquet, touches: touches.parquet, churn: churn.parquet, invoices: invoices.parquet}
customers: {from: customers}
touchpoints: {from: touches, session_gap_days: 14, repeat_days: 7}
churn: {from: churn}
revenue: {from: invoices}
journeys: [{name: billing, stage: pay, leads_to: [support]}, {name: support, stage: help}]
measures:
  - {name: wrong, unit: share, kind: share, direction: lower, journeys: [billing]}
  - {name: wait, unit: min, kind: duration, direction: lower, journeys: [support]}
  - {name: solved, unit: share, kind: share, direction: higher, task: true, journeys: [support]}
"""

ROWS = [
    # customer, journey, journey_id, touchpoint, day, wrong, wait, solved
    ("a", "billing", "b1", "bill", 1, 1.0, None, None),
    ("a", "support", "s1", "call", 3, None, 4.0, 0.0),
    ("a", "support", "s1", "chat", 5, None, 2.0, 1.0),
    ("a", "billing", "b2", "bill", 31, 0.0, None, None),
    ("b", "support", "s2", "call", 10, None, 6.0, 0.0),
    ("b", "support", "s2", "call", 20, None, 8.0, 0.0),
    ("b", "billing", "b3", "bill", 40, 1.0, None, None),
    ("c", "support", "s3", "chat", 12, None, None, 1.0),
    ("c", "support", "s4", "chat", 15, None, 3.0, 1.0),
    ("d", "billing", "b4", "bill", 80, 0.0, None, None),
    ("d", "billing", "b5", "bill", 99, 1.0, None, None),  # what follows it is not known: the data end
]


def laid_out(folder: Path, *, buckets: int | None = None, order: list[int] | None = None) -> tuple[Layout, Study]:
    """Lay the tables out in a folder."""
    start = pd.Timestamp("2024-01-01", tz="UTC")
    names = ["customer_id", "journey", "journey_id", "touchpoint", "day", "wrong", "wait", "solved"]
    touches = pd.DataFrame(ROWS, columns=names)
    touches = touches.assign(occurred_at=start + pd.to_timedelta(touches.pop("day"), unit="D"))
    if order is not None:
        touches = touches.iloc[order]
    tables = {
        "customers": pd.DataFrame({"customer_id": list("abcd"), "joined_at": [start] * 4}),
        "touches": touches.astype(dict.fromkeys(("wrong", "wait", "solved"), np.float64)),
        "churn": pd.DataFrame({"customer_id": ["d"], "churned_at": [start + pd.Timedelta(days=99)]}),
        "invoices": pd.DataFrame({"customer_id": ["a"], "occurred_at": [start], "amount": [10.0]}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
    study = parse_study(STUDY, "study.yaml")
    now = parse_date("2025-06-01")
    return lay_out(study, folder, folder / "store", now_us=now, buckets=buckets), study
