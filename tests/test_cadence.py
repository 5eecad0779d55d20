"""When charges are due."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.snapshot import DAY
from models.cadence import Cadence, charges_due, learn_cadence

MONTHLY = Cadence(months=1, days=0, kept=1.0)


def moment(*texts: str) -> np.ndarray:
    return pd.DatetimeIndex(texts).as_unit("us").asi8


def charges(customer: int, dates, amount: float = 20.0) -> pa.Table:
    at = pd.DatetimeIndex(dates).as_unit("us").asi8
    return pa.table({"customer_key": [customer] * len(at), "occurred_at": at, "amount": [amount] * len(at)})


def test_bills_on_a_day_of_the_month_are_monthly_and_not_every_thirty_days():
    one = charges(1, pd.date_range("2024-01-17 06:00", periods=24, freq="MS") + pd.Timedelta(days=16))
    assert learn_cadence([one]) == Cadence(months=1, days=0, kept=1.0)


@pytest.mark.parametrize(("days", "months"), [(7, 0), (28, 0), (14, 0)])
def test_other_cadences_count_days(days, months):
    one = charges(1, pd.date_range("2024-01-03", periods=24, freq=f"{days}D"))
    assert learn_cadence([one]) == Cadence(months=months, days=days, kept=1.0)


def test_purchases_at_any_time_have_no_cadence():
    rng = np.random.default_rng(1)
    at = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.cumsum(rng.exponential(30, 400)), unit="D")
    assert learn_cadence([charges(1, at)]) is None


def test_refunds_and_second_amounts_of_a_day_are_no_intervals():
    dates = pd.date_range("2024-01-05", periods=12, freq="MS") + pd.Timedelta(days=4)
    one = pa.concat_tables([charges(1, dates), charges(1, dates), charges(1, dates + pd.Timedelta(days=9), -5.0)])
    assert learn_cadence([one]) == MONTHLY


def test_without_amounts_nothing_is_learned():
    assert learn_cadence([charges(1, [])]) is None
    assert learn_cadence([charges(1, ["2024-01-01"])]) is None


def test_a_day_that_a_month_lacks_becomes_its_last():
    at = moment("2024-01-31 06:00")
    steps = np.array([1, 2, 3])
    after = MONTHLY.after(np.repeat(at, 3), steps)
    assert after.tolist() == moment("2024-02-29 06:00", "2024-03-31 06:00", "2024-04-30 06:00").tolist()


def test_a_charge_is_due_in_the_week_of_its_day_and_in_no_other():
    one = charges(4, ["2024-03-10 06:00"])
    starts = moment("2024-03-10 06:00", "2024-03-17", "2024-04-03 06:00", "2024-04-03 05:00", "2024-04-10 06:00")
    due = charges_due(MONTHLY, one, np.full(5, 4), starts, 7 * DAY)
    # The period is (start, start + 7 days]: the 10th of April at six lies in the third, not in the fourth.
    assert due.tolist() == [0.0, 0.0, 1.0, 0.0, 0.0]


def test_a_missed_charge_is_due_again_a_month_later():
    one = charges(4, ["2024-01-10"])
    assert charges_due(MONTHLY, one, np.array([4]), moment("2024-05-08"), 7 * DAY).tolist() == [1.0]


def test_nothing_is_known_of_customers_not_charged_before():
    one = pa.concat_tables([charges(4, ["2024-03-10"]), charges(9, ["2024-01-10"])])
    due = charges_due(MONTHLY, one, np.array([4, 5, 9]), moment("2024-03-09", "2024-03-09", "2024-03-09"), 7 * DAY)
    assert np.isnan(due[:2]).all()
    assert due[2] == 1.0


def test_without_a_cadence_a_charge_is_always_due():
    assert charges_due(None, charges(1, []), np.array([1, 2]), moment("2024-01-01", "2024-02-01"), DAY).tolist() == [
        1,
        1,
    ]


@given(st.integers(0, 10_000))
def test_charges_after_the_start_change_nothing(seed):
    rng = np.random.default_rng(seed)
    keys = np.repeat(rng.integers(1, 2**52, 8), 6)
    at = rng.integers(19_000, 19_400, len(keys)) * DAY
    table = pa.table({"customer_key": keys, "occurred_at": at, "amount": np.full(len(keys), 3.0)})
    customer, start = rng.choice(keys, 20), np.full(20, 19_200 * DAY)
    known = table.filter(pa.array(at <= 19_200 * DAY))
    cadence = Cadence(months=0, days=30, kept=1.0)
    np.testing.assert_array_equal(
        charges_due(cadence, table, customer, start, 7 * DAY), charges_due(cadence, known, customer, start, 7 * DAY)
    )


@given(st.integers(0, 10_000))
def test_a_customers_last_charge_is_found_whatever_the_others_do(seed):
    rng = np.random.default_rng(seed)
    keys, at = rng.integers(0, 5, 30), rng.integers(0, 60, 30) * DAY
    table = pa.table({"customer_key": keys, "occurred_at": at, "amount": np.ones(30)})
    customer, start = rng.integers(0, 5, 20), rng.integers(0, 60, 20) * DAY
    found = charges_due(Cadence(months=0, days=5, kept=1.0), table, customer, start, 2 * DAY)
    for who, moment_, due in zip(customer, start, found, strict=True):
        past = at[(keys == who) & (at <= moment_)]
        if not len(past):
            assert np.isnan(due)
            continue
        following = past.max() + 5 * DAY
        while following <= moment_:
            following += 5 * DAY
        assert due == float(following <= moment_ + 2 * DAY)
