"""Money over one wave, counted by hand."""

from __future__ import annotations

import math

from features.study import Money
from models.effects import Estimate
from models.flat_money import wave_money
from models.initiatives import Change, Cost, Initiative


def counted(cost: Cost):
    one = Initiative(name="one", changes=(Change(journey="a", measure="b", shift=1.0),), cost=cost)
    return wave_money(one, Estimate(2.0, 0.5), customers=1_000, reached=400.0, moved=100.0, money=Money(margin=0.4))


def test_gain_is_margin_times_effect_times_customers():
    found = counted(Cost())
    assert (found.gain.value, found.gain.se, found.cost) == (800.0, 200.0, 0.0)


def test_cost_is_once_and_by_customer_and_by_moved_row():
    found = counted(Cost(once=100, per_customer=1, per_contact=2))
    assert (found.cost, found.net.value, found.net.se) == (700.0, 100.0, 200.0)


def test_monthly_costs_leave_no_net():
    for cost in (Cost(monthly=10), Cost(saved_monthly=10)):
        assert math.isnan(counted(cost).net.value)
