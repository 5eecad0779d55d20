"""Contacts that are not needed once a failure is mended."""

import numpy as np
import pyarrow as pa
import pytest

from features.study import parse_study
from models.initiatives import MovedTouchpoints
from models.mechanisms import without_needless

STUDY = """
study: small
sources: {a: a.parquet, b: b.parquet, c: c.parquet, d: d.parquet}
customers: {from: a, columns: {customer_id: id, joined_at: joined}}
touchpoints: {from: b, columns: {customer_id: id, journey: j, journey_id: i, touchpoint: t, occurred_at: at, wait: w,
  resolved: r}}
churn: {from: c, columns: {customer_id: id, churned_at: at}}
revenue: {from: d, columns: {customer_id: id, occurred_at: at, amount: euro}}
journeys: [{name: support, stage: help}]
measures:
  - {name: wait, unit: min, kind: duration, direction: lower}
  - {name: resolved, unit: share, kind: share, direction: higher, task: true}
snapshot: {every: month, window_days: 90, horizon_days: 91}
"""


def contacts(resolved, case=(1, 1, 1, 2, 2), at=(10, 20, 30, 15, 25)):
    return pa.table(
        {
            "customer_key": [7, 7, 7, 8, 8],
            "journey_key": list(case),
            "occurred_at": list(at),
            "resolved": np.array(resolved, float),
            "wait": np.ones(5),
        }
    )


@pytest.fixture(scope="module")
def study():
    return parse_study(STUDY, "study.yaml")


def test_what_follows_a_mended_failure_in_its_case_does_not_happen(study):
    every = contacts([0, 0, 1, 0, 1])
    moved = MovedTouchpoints(every, {"resolved": np.array([0.0, 1, 1, 0, 1])})
    still, gone = without_needless(study, moved, every, until=100)
    assert gone["occurred_at"].to_pylist() == [30]
    assert still.touchpoints["occurred_at"].to_pylist() == [10, 20, 15, 25]
    assert still.delivered["resolved"].tolist() == [0, 1, 0, 1]


def test_touchpoints_that_are_not_moved_themselves_vanish_as_well(study):
    every = contacts([0, 0, 1, 0, 1])
    moved = MovedTouchpoints(every.slice(0, 1), {"resolved": np.array([1.0])})
    still, gone = without_needless(study, moved, every, until=100)
    assert gone["occurred_at"].to_pylist() == [20, 30]
    assert still.touchpoints.num_rows == 1


def test_other_steps_and_what_follows_a_success_still_happen(study):
    # Failed, repair visit (the task is not measured), solved, and failed again later.
    every = contacts([0, np.nan, 1, 0, 0], case=(1, 1, 1, 1, 2), at=(10, 20, 30, 40, 25))
    moved = MovedTouchpoints(every.slice(0, 1), {"resolved": np.array([1.0])})
    assert without_needless(study, moved, every, until=100)[1]["occurred_at"].to_pylist() == [30]


def test_what_happens_at_the_same_moment_still_happens(study):
    every = contacts([0, 0, 1, 0, 1], at=(10, 10, 30, 15, 25))
    moved = MovedTouchpoints(every.slice(0, 1), {"resolved": np.array([1.0])})
    assert without_needless(study, moved, every, until=100)[1]["occurred_at"].to_pylist() == [30]


def test_later_than_the_horizon_is_left_alone(study):
    every = contacts([0, 0, 1, 0, 1])
    moved = MovedTouchpoints(every.slice(0, 1), {"resolved": np.array([1.0])})
    assert without_needless(study, moved, every, until=20)[1]["occurred_at"].to_pylist() == [20]


def test_a_success_that_stays_one_and_a_shorter_wait_take_nothing_away(study):
    every = contacts([0, 1, 1, 0, 1])
    for delivered in ({"resolved": np.array([0.0, 1, 1, 0, 1])}, {"wait": np.zeros(5)}):
        moved = MovedTouchpoints(every, delivered)
        still, gone = without_needless(study, moved, every, until=100)
        assert gone.num_rows == 0
        assert still is moved


def test_the_order_of_rows_does_not_matter(study):
    every = contacts([0, 0, 1, 0, 1])
    order = pa.array([4, 2, 0, 3, 1])
    moved = MovedTouchpoints(every, {"resolved": np.array([1.0, 1, 1, 1, 1])})
    turned = MovedTouchpoints(every.take(order), {"resolved": np.ones(5)})
    one, other = without_needless(study, moved, every, 100), without_needless(study, turned, every.take(order), 100)
    assert sorted(one[1]["occurred_at"].to_pylist()) == sorted(other[1]["occurred_at"].to_pylist()) == [20, 25, 30]
