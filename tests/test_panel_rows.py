"""The rows of one bucket, from a layout made by hand."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from features.facts import Recorded
from features.layout import Bucket
from features.measures import Observed, catalogue
from features.panel_rows import BucketRows, counted, panel_columns
from features.snapshot import DAY, parse_date
from features.study import parse_study

STUDY = parse_study(
    """
study: small
sources: {t: t.parquet}
customers: {from: t, covariates: [region]}
touchpoints: {from: t}
churn: {from: t}
revenue: {from: t}
journeys: [{name: support, stage: help}]
measures: [{name: wait, unit: min, kind: duration, direction: lower}]
snapshot: {window_days: 60, horizon_days: 30}
""",
    "study.yaml",
)
CUTOFF = parse_date("2024-04-01")


def days(*offsets: int) -> pa.Array:
    return pa.array([CUTOFF + day * DAY for day in offsets], pa.int64())


def label(*values: str) -> pa.Array:
    return pa.array(values).dictionary_encode()


def bucket() -> Bucket:
    """Three customers; the first has contacts, the second has left, the third none."""
    touchpoints = pa.table(
        {
            "customer_key": [4, 4, 4],
            "journey": label("support", "support", "support"),
            "journey_key": [0, 0, 1],
            "touchpoint": label("call", "mail", "call"),
            "channel": label("phone", "web", "phone"),
            "occurred_at": days(-20, -19, 5),
            "known_at": days(-20, -19, 5),
            "wait": pa.array([6.0, None, 50.0]),
        }
    )
    people = {"customer_key": [4, 5, 6], "customer_id": ["d", "e", "f"], "joined_at": days(-100, -100, -10)}
    churn = {"customer_key": [4, 5], "churned_at": days(9, -9), "returned_at": pa.array([None, None], pa.int64())}
    paid = {"customer_key": [4, 4], "occurred_at": days(-3, 3), "amount": [7.0, 8.0]}
    customers = pa.table(people | {"region": ["north", "north", None]})
    return Bucket(touchpoints, customers, pa.table(paid), pa.table(churn), {})


def rows_at(*, is_mature: bool) -> pa.Table:
    observed = [Observed("support", "call", name, 2) for name in ("", "wait")]
    found = catalogue(STUDY, Recorded(channels=True), observed)
    return BucketRows(STUDY, found, bucket()).at(CUTOFF, is_mature=is_mature)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("customer_id", ["d", "f"]),
        ("customer_key", [4, 6]),
        ("support__wait_min__mean", [6, np.nan]),
        ("support__touchpoints_count__total", [2, 0]),
        ("support__last_contact_days__since", [19, np.nan]),
        ("revenue_past", [7, 0]),
        ("tenure_days", [100, 10]),
        ("season__sin", [1, 1]),
        ("region", ["north", None]),
        ("is_churned", [1, 0]),
        ("revenue", [8, 0]),
        ("is_mature", [True, True]),
        ("weight", [1, 1]),
    ],
)
def test_what_a_row_holds(name: str, wanted: list[object]) -> None:
    np.testing.assert_equal(rows_at(is_mature=True)[name].to_pylist(), wanted)


def test_before_maturity_features_are_there_and_outcomes_missing() -> None:
    immature = rows_at(is_mature=False)
    assert immature["is_mature"].to_pylist() == [False, False]
    assert pc.all(pc.is_nan(immature["is_churned"])).as_py()
    mean = "support__wait_min__mean"
    np.testing.assert_array_equal(immature[mean].to_numpy(), rows_at(is_mature=True)[mean].to_numpy())


def test_a_row_whose_churn_is_unknown_is_not_mature() -> None:
    people = pa.table({"customer_id": ["a", "b"], "customer_key": [0, 1]})
    found = panel_columns(people, CUTOFF, {}, {"is_churned": np.array([np.nan, 0])}, np.ones(2))
    assert found["is_mature"].to_pylist() == [False, True]


def test_what_is_observed_counts_rows_and_values() -> None:
    assert counted(bucket().touchpoints, ["wait"]) == {
        ("support", "call", ""): 2,
        ("support", "call", "wait"): 2,
        ("support", "mail", ""): 1,
        ("support", "mail", "wait"): 0,
    }
