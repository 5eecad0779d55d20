"""Effects on the past: nothing where nothing is hidden, found where something is."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from features.snapshot import DAY
from models.design_rows import Rows
from models.person_period import Periods
from models.placebo import placebo_effect, spend_before

WEEK = 7 * DAY
NAMES = ["baseline__intercept", "baseline__x", "time__spent_before", "time__spent_known", "support__wait__0__slow"]


def rows_of(customer, start, columns) -> Rows:
    n = len(customer)
    periods = Periods(
        np.asarray(customer, np.int64), np.asarray(start, np.int64), np.zeros(n, np.int64), np.zeros(n), np.zeros(n),
        np.ones(n),
    )  # fmt: skip
    return Rows(periods, pd.DataFrame(columns), np.zeros(n, np.int64), np.ones(n), np.ones(n))


def test_past_spend_is_that_of_the_nearest_row_that_is_old_enough_and_of_the_same_customer():
    fit = rows_of(
        [1, 1, 1, 2, 2],
        [0, 10 * WEEK, 16 * WEEK, 9 * WEEK, 30 * WEEK],
        {"time__spent_before": [1.0, 2.0, 3.0, 4.0, 5.0], "time__spent_known": [1.0, 1.0, 1.0, 0.0, 1.0]},
    )
    found = spend_before(fit, lag_days=42)
    # The second row of customer 1 finds the first one, seven weeks older than needed at most: 10 - 6 = 4 weeks.
    assert found[:3].tolist() == pytest.approx([np.nan, 1.0, 2.0], nan_ok=True)
    assert np.isnan(found[3:]).all()  # not known, or more than eight weeks older than needed


def world(hidden: float, seed: int, customers: int = 800):
    """Quality goes along with x, which is seen, and with u, which also moves what is spent; 30 weeks."""
    rng = np.random.default_rng(seed)
    x, u = rng.normal(size=(2, customers))
    weeks = np.arange(0, 30, 3)
    customer, week = np.repeat(np.arange(customers), len(weeks)), np.tile(weeks, customers)
    n = len(customer)
    memory = 0.5 * x[customer] + hidden * u[customer] + rng.normal(size=n)
    spent = 1 + 0.4 * x[customer] + 0.3 * u[customer] + 0.1 * rng.normal(size=n)
    columns = dict(zip(NAMES, (np.ones(n), x[customer], spent, np.ones(n), memory), strict=True))
    fit = rows_of(customer, week * WEEK, columns)
    target = SimpleNamespace(periods=fit.periods, go_live=np.zeros(n, np.int64))
    shift = np.full((n, 1), -1.0)
    penalised = np.array([False, False, False, False, True])
    return placebo_effect(fit, target, NAMES, penalised, NAMES[-1:], shift, lag_days=35.0, period_days=7.0)


def test_a_hidden_cause_of_spend_and_quality_is_found_in_the_past_in_its_size():
    found = world(hidden=1.0, seed=1)
    # Given x, the slope of past spend on one memory is 0.3 / (1 + 1), moved by -1 for a week.
    assert found.effect.value == pytest.approx(-0.15 * 7, rel=0.1)
    assert abs(found.effect.t) > 8


def test_where_nothing_is_hidden_the_past_is_left_alone_as_often_as_stated():
    t = np.array([world(hidden=0.0, seed=seed, customers=600).effect.t for seed in range(2, 62)])
    # 60 worlds: the standard error of the root mean square is 0.09, that of the share beyond 1.96 is 0.028.
    assert np.sqrt(np.mean(t**2)) == pytest.approx(1.0, abs=0.27)
    assert np.mean(np.abs(t) > 1.96) < 0.14


def test_few_customers_have_no_placebo():
    assert world(hidden=1.0, seed=3, customers=150) is None


def test_part_of_the_reach_has_that_part_of_the_placebo():
    whole = world(hidden=1.0, seed=4)
    half = whole.scaled(0.5)
    assert (half.effect.value, half.effect.se) == pytest.approx((whole.effect.value / 2, whole.effect.se / 2))
    assert half.customers == whole.customers
