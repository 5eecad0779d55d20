"""What a plan does: the values that a simulation tells, added up, whatever the order."""

from __future__ import annotations

import numpy as np
import pytest

from features.study import Money
from models.cash import Cohort
from models.combinations import combine
from models.costs import Cost
from models.forecasts import sample
from models.outlooks import OUTCOMES, outlook
from models.retention import constant_retention
from models.simulation import worth_of
from tests.worths import a_forecast, an_effect, an_overlap

COHORT, MONEY = Cohort(1_000, 91), Money(margin=0.5, discount_rate=0.08, months=12)
STAY = constant_retention(12)


def forecasts():
    return [
        a_forecast("a", an_effect(se=0.002, form=0.08), delivery=(0.5, 0.8, 1), cost=Cost(once=(1, 20, 50))),
        a_forecast("b", an_effect(churn=-0.02, spend=1, se=0.003, at=4), cost=Cost(per_contact=2, saved_monthly=30)),
        a_forecast("c", an_effect(churn=0.004, se=0.001, at=7), start_month=3, lasts_months=6),
    ]


def drawn(order=(0, 1, 2), draws=400):
    made = forecasts()
    overlaps = [an_overlap(("a", "b"), churn=-0.004, se=0.001)]
    return sample([made[i] for i in order], overlaps, np.random.default_rng(3), draws)


def test_one_initiative_is_worth_and_costs_what_its_simulation_says():
    samples = drawn()
    for one in samples.initiatives:
        worth, found = worth_of(one, COHORT, MONEY, STAY), outlook(samples, COHORT, MONEY, STAY, [one.name])
        assert (found.draws["npv"] == worth.npv).all()
        assert (found.draws["cost"] == worth.cost).all()
        assert found.members == (one.name,)


def test_all_are_worth_the_sum_and_what_pairs_differ_by():
    samples = drawn()
    alone = sum(worth_of(one, COHORT, MONEY, STAY).npv for one in samples.initiatives)
    pairs = combine(samples, COHORT, MONEY, STAY).pairs
    assert len(pairs) == 3
    expected = alone + sum(one.difference for one in pairs)
    assert outlook(samples, COHORT, MONEY, STAY).draws["npv"] == pytest.approx(expected)


def test_value_is_margin_on_revenue_less_cost():
    draws = outlook(drawn(), COHORT, MONEY, STAY).draws
    assert draws["npv"] == pytest.approx(0.5 * draws["revenue"] - draws["cost"])


def test_leavers_by_hand():
    # 6 % leave in 91 days, 5 % with it; over 12 months at constant rates that is 0.94 and 0.95 to the power of 12 / h.
    samples = sample([a_forecast("a", an_effect(churn=-0.01))], (), np.random.default_rng(0), 5)
    horizons = 12 / COHORT.horizon_months
    expected = 0.94**horizons - 0.95**horizons
    assert outlook(samples, COHORT, MONEY, STAY).draws["churn"] == pytest.approx(np.full(5, expected))


def test_the_order_of_initiatives_changes_no_bit():
    one, other = (outlook(drawn(order), COHORT, MONEY, STAY) for order in ((0, 1, 2), (2, 0, 1)))
    assert one.members == other.members
    # Sums over influences can round apart; what is summed here may not.
    for name in OUTCOMES:
        assert one.draws[name] == pytest.approx(other.draws[name], rel=1e-5, abs=1e-9)
    samples = drawn()
    turned = type(samples)(samples.initiatives[::-1], samples.overlaps, samples.seed, samples.draws)
    again = outlook(turned, COHORT, MONEY, STAY)
    assert all((again.draws[name] == one.draws[name]).all() for name in OUTCOMES)


def test_a_plan_of_nothing_changes_nothing():
    found = outlook(drawn(), COHORT, MONEY, STAY, [])
    assert found.members == ()
    assert all((found.draws[name] == 0).all() for name in OUTCOMES)
