"""Person-period rows against small tables counted by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.person_period import Histories, period_grid, periods_at_risk, thin


def histories(joined, churn=(), revenue=()):
    """Customers 0.. with joining times; churn as (customer, left, back or None); revenue as (customer, at, amount)."""
    churn_rows, revenue_rows = (
        list(zip(*churn, strict=True)) or [(), (), ()],
        list(zip(*revenue, strict=True)) or [(), (), ()],
    )
    return Histories(
        pa.table({"customer_key": np.arange(len(joined)), "joined_at": np.array(joined, np.int64)}),
        pa.table({
            "customer_key": pa.array(churn_rows[0], pa.int64()),
            "churned_at": pa.array(churn_rows[1], pa.int64()),
            "returned_at": pa.array(churn_rows[2], pa.int64()),
        }),
        pa.table({
            "customer_key": pa.array(revenue_rows[0], pa.int64()),
            "occurred_at": pa.array(revenue_rows[1], pa.int64()),
            "amount": pa.array(revenue_rows[2], pa.float64()),
        }),
    )  # fmt: skip


def rows(periods):
    return set(zip(periods.customer_key.tolist(), periods.start.tolist(), strict=True))


def test_a_customer_is_at_risk_from_joining_until_leaving():
    periods = periods_at_risk(histories([15], churn=[(0, 35, None)]), (10, 20, 30, 40), 10)
    assert rows(periods) == {(0, 20), (0, 30)}
    assert periods.churned.tolist() == [0.0, 1.0]


def test_a_customer_is_not_at_risk_after_an_end_that_is_no_churn():
    before = histories([0, 0])
    ended = before.customers.append_column("ended_at", pa.array([25, None], pa.int64()))
    periods = periods_at_risk(Histories(ended, before.churn, before.revenue), (10, 20, 30), 10)
    assert rows(periods) == {(0, 10), (0, 20), (1, 10), (1, 20), (1, 30)}
    assert not periods.churned.any()


def test_a_customer_who_returns_is_at_risk_again():
    periods = periods_at_risk(histories([0], churn=[(0, 15, 30)]), (10, 20, 30, 40), 10)
    assert rows(periods) == {(0, 10), (0, 30), (0, 40)}


def test_an_event_at_the_start_belongs_to_the_period_before():
    periods = periods_at_risk(histories([0], revenue=[(0, 20, 5.0), (0, 21, 7.0)]), (10, 20), 10)
    assert periods.spend.tolist() == [5.0, 7.0]


def test_spend_is_summed_within_the_period():
    periods = periods_at_risk(histories([0, 0], revenue=[(1, 12, 5.0), (1, 18, 7.0), (1, 31, 1.0)]), (10, 20), 10)
    assert periods.spend.tolist() == [0.0, 12.0, 0.0, 0.0]


def test_nobody_and_nothing_give_no_rows():
    assert len(periods_at_risk(histories([]), (10, 20), 10)) == 0
    assert len(periods_at_risk(histories([0]), (), 10)) == 0


def test_thinning_keeps_all_departures_and_the_weighted_number_of_rows():
    rng = np.random.default_rng(1)
    left = [(i, 15, None) for i in range(100)]
    periods = periods_at_risk(histories([0] * 5_000, churn=left), (10, 20, 30), 10)
    thinned = thin(periods, 2_000, rng)
    assert thinned.churned.sum() == periods.churned.sum() == 100
    assert len(thinned) == pytest.approx(2_000, rel=0.1)
    assert thinned.weight.sum() == pytest.approx(len(periods), rel=0.05)


def test_thinning_what_is_small_changes_nothing():
    periods = periods_at_risk(histories([0] * 10), (10, 20), 10)
    assert rows(thin(periods, 1_000, np.random.default_rng(2))) == rows(periods)


@given(st.integers(0, 100), st.integers(0, 100), st.integers(1, 20))
def test_periods_tile_the_span_up_to_its_end(first, extra, length):
    starts = period_grid(first, first + extra, length)
    assert all(b - a == length for a, b in pairwise(starts))
    assert not starts or (starts[-1] + length == first + extra and starts[0] >= first)
