"""What may enter a model of a customer's period, by hand: tenure, past spend, and how long a period is."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from features.snapshot import DAY, DAYS_PER_MONTH
from models.cadence import Charging
from models.learnt import Learnt
from models.people import People
from models.person_period import Periods
from models.row_columns import period_length, rows_of
from tests.test_initiatives import STUDY

HORIZON = STUDY.snapshot.horizon_days
NOTHING = Learnt((), {}, (), (), {}, Charging(None, 20.0, 0), {"segment": frozenset({"basic"})})
START = 1_000


def laid_out(joined_day, paid):
    """One customer's row that begins on day 1,000; `paid` are (days before it, amount)."""
    days = sorted((START - before, amount) for before, amount in paid)
    keys = np.zeros(len(days), np.int64)
    people = People(
        pa.table({"customer_key": np.zeros(0, np.int64)}),
        pa.table({"customer_key": [0], "joined_at": [joined_day * DAY], "segment": ["basic"]}),
        pa.table(
            {
                "customer_key": keys, "occurred_at": np.array([day * DAY for day, _ in days], np.int64),
                "amount": np.array([amount for _, amount in days], np.float64),
            }
        ),
        pa.table({"customer_key": np.zeros(0, np.int64)}),
    )  # fmt: skip
    one, zero = np.ones(1), np.zeros(1, np.int64)
    rows = Periods(zero, np.array([START * DAY]), zero, np.zeros(1), np.zeros(1), one)
    touches = pa.table(
        {
            "customer_key": zero, "journey": ["support"], "journey_key": zero,
            "occurred_at": zero, "known_at": zero,
        }
    )  # fmt: skip
    return rows_of(STUDY, NOTHING, people, touches, rows, zero).design.iloc[0]


def test_a_horizon_is_a_whole_number_of_periods_of_about_a_week():
    assert HORIZON * DAY % period_length(STUDY) == 0
    assert 5 * DAY < period_length(STUDY) < 9 * DAY


def test_past_spend_is_of_the_half_year_that_ended_a_horizon_ago():
    inside, after, before = HORIZON + 10, HORIZON - 1, HORIZON + 180
    row = laid_out(START - 900, [(inside, 90.0), (after, 7.0), (before, 5.0)])
    assert row["time__spent_before"] == pytest.approx(90 / 180)
    assert row["time__log_spent_before"] == pytest.approx(np.log1p(DAYS_PER_MONTH * 0.5 / 20))
    assert row["time__spent_known"] == 1


def test_the_days_before_a_customer_joined_do_not_count():
    row = laid_out(START - HORIZON - 60, [(HORIZON + 10, 90.0)])
    assert row["time__spent_before"] == pytest.approx(90 / 60)


def test_less_than_a_month_of_the_past_is_not_known():
    row = laid_out(START - HORIZON - 29, [(HORIZON + 10, 90.0)])
    assert (row["time__spent_before"], row["time__spent_known"]) == (0, 0)


def test_tenure_bends_at_its_knots():
    row = laid_out(START - 400, [(HORIZON + 10, 1.0)])
    assert row["time__tenure"] == pytest.approx(np.log1p(400))
    assert row["time__tenure_over_365"] == pytest.approx(np.log1p(35))
    assert laid_out(START - 60, [(HORIZON + 10, 1.0)])["time__tenure_over_90"] == 0
