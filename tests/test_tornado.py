"""What drives an interval: one input at a time."""

from __future__ import annotations

import numpy as np
import pytest

from features.study import Money
from models.cash import Cohort
from models.costs import Cost
from models.forecasts import sample
from models.retention import constant_retention
from models.simulation import worth_of
from models.tornado import tornado
from tests.worths import a_forecast, an_effect

COHORT, MONEY = Cohort(1_000, 91), Money(margin=0.5, discount_rate=0.05, months=12)


def sampled(**given):
    return sample([a_forecast(**given)], (), np.random.default_rng(3)).initiatives[0]


def bars(one):
    return {bar.input: bar for bar in tornado(one, COHORT, MONEY, constant_retention(12))}


def test_what_is_known_has_no_bar():
    assert bars(sampled(effect=an_effect(se=0.0))) == {}
    assert set(bars(sampled(effect=an_effect(se=0.001), cost=Cost(monthly=5, once=(1, 2, 4))))) == {
        "churn effect",
        "spend effect",
        "cost: once",
    }


def test_bars_are_sorted_by_swing_and_the_middle_is_the_value_at_the_means():
    one = sampled(effect=an_effect(se=0.002, spend=1.0), delivery=(0.5, 0.8, 1.0), cost=Cost(once=(100, 200, 900)))
    found = tornado(one, COHORT, MONEY, constant_retention(12))
    swings = [bar.swing for bar in found]
    assert swings == sorted(swings, reverse=True)
    for bar in found:
        assert min(bar.npv_at_low, bar.npv_at_high) < bar.npv_at_mean < max(bar.npv_at_low, bar.npv_at_high)


def test_a_cost_at_the_decision_moves_value_by_itself():
    bar = bars(sampled(effect=an_effect(se=0.0), cost=Cost(once=(100, 200, 900))))["cost: once"]
    assert bar.npv_at_low - bar.npv_at_high == pytest.approx(bar.high - bar.low)


def test_squared_swings_add_up_to_the_squared_width_of_the_interval():
    one = sampled(effect=an_effect(se=0.002, spend=2.0), delivery=(0.6, 0.8, 1.0), cost=Cost(once=(1000, 2000, 3500)))
    npv = worth_of(one, COHORT, MONEY, constant_retention(12)).npv
    width = np.diff(np.percentile(npv, [5, 95]))[0]
    assert np.sqrt(sum(bar.swing**2 for bar in bars(one).values())) == pytest.approx(width, rel=0.06)
